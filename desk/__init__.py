"""The director's desk: the interface of the Space, in parts.

Functions that decide something (drafts, limits, jobs, outputs, words, patterns) know nothing of Gradio and are tested
as they are; `editor` and `stage` are the two components with scripts of their own; one module a tab puts them together.
"""
