"""The rates that film counts frames at, and their timecode (SMPTE ST 12-1).

Models make 12, 15 or 16 frames a second, at which no editing program works. On a timeline of the next such rate a cut
is on the frame that is nearest in time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_ROUNDED = 1.001  # clocks of files are rounded: 24.0004 frames a second are 24


@dataclass(frozen=True)
class Timebase:
    """Timecode at `rate` frames a second, which counts `nominal` of them as one second; with `drop`, it leaves out
    numbers so as to keep step with the clock (SMPTE ST 12-1: 0 and 1 of every minute but each tenth, at 29.97).
    """

    name: str
    rate: Fraction
    nominal: int
    drop: bool = False

    def frame_at(self, seconds: float) -> int:
        """The frame that begins nearest to a time."""
        return round(seconds * self.rate)

    def timecode(self, frame: int) -> str:
        """HH:MM:SS:FF of a frame, HH:MM:SS;FF with `drop`; after 24 hours it begins again."""
        if self.drop:
            tens, rest = divmod(frame, self._in_ten_minutes)
            minutes = max(0, rest - self._dropped) // (60 * self.nominal - self._dropped)
            frame += self._dropped * (9 * tens + minutes)
        seconds, frames = divmod(frame, self.nominal)
        mark = ";" if self.drop else ":"
        return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frames:02d}"

    def frame_of(self, timecode: str) -> int:
        """The frame that a timecode numbers; raises ValueError for what is none."""
        match = re.fullmatch(r"(\d\d):(\d\d):(\d\d)[:;.,](\d\d\d?)", timecode.strip())
        if match is None or int(match[4]) >= self.nominal or int(match[2]) >= 60 or int(match[3]) >= 60:
            raise ValueError(f"{timecode!r} is no timecode at {self.name} frames a second")
        hours, minutes, seconds, frames = map(int, match.groups())
        minutes += 60 * hours
        dropped = self._dropped * (minutes - minutes // 10) if self.drop else 0
        return (60 * minutes + seconds) * self.nominal + frames - dropped

    @property
    def _dropped(self) -> int:
        return self.nominal // 15

    @property
    def _in_ten_minutes(self) -> int:
        return 600 * self.nominal - 9 * self._dropped


TIMELINE_RATES = {
    base.name: base
    for base in (
        Timebase("23.976", Fraction(24000, 1001), 24),
        Timebase("24", Fraction(24), 24),
        Timebase("25", Fraction(25), 25),
        Timebase("29.97", Fraction(30000, 1001), 30),
        Timebase("29.97df", Fraction(30000, 1001), 30, drop=True),
        Timebase("30", Fraction(30), 30),
        Timebase("48", Fraction(48), 48),
        Timebase("50", Fraction(50), 50),
        Timebase("60", Fraction(60), 60),
    )
}


def timebase_for(fps: float, name: str | None = None) -> Timebase:
    """The timebase of TIMELINE_RATES with this name; by default the nearest of 24, 25 and 30 that is at least as fast
    as the video, and 60 for a faster one. Raises ValueError for another name.
    """
    if name is None:
        name = next((str(rate) for rate in (24, 25, 30) if fps <= rate * _ROUNDED), "60")
    if name not in TIMELINE_RATES:
        raise ValueError(f"the timeline rate is {name!r}, but has to be one of {', '.join(TIMELINE_RATES)}")
    return TIMELINE_RATES[name]


def own_timebase(fps: float, name: str | None = None) -> Timebase:
    """The same, but for a rate that film has, such as 23.976, that rate itself."""
    own = (base.name for base in TIMELINE_RATES.values() if not base.drop and abs(fps / base.rate - 1) < 1e-4)
    return timebase_for(fps, name or next(own, None))
