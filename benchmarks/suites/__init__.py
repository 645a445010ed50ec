"""Suites: files of storyboards in, checked and hashed `Suite`s out; worlds with truth build their own."""

from benchmarks.suites.puppet import WORLD
from benchmarks.suites.suite import register

register(WORLD)
