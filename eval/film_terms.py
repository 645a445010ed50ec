"""What a caption asks of shot size, camera movement and camera angle, in the usual words of film.

Only what is said counts: a caption that asks for nothing, for two things, or for a movement that leaves no plain trace
in the picture (an orbit, a handheld camera, a tracking shot in no direction) asks for None.
"""

from __future__ import annotations

import re

SIZES = ("wide", "medium", "close-up")
SCALE = ("extreme wide", "wide", "medium wide", "medium", "medium close-up", "close-up", "extreme close-up")
ANGLES = ("eye level", "low angle", "high angle", "overhead", "over the shoulder", "dutch angle")
CAMERAS = ("static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out")

_SHOT = r"[ -]?(?:shot|view|framing|angle)s?\b"
_SCALE_TERMS: tuple[tuple[str, str], ...] = (
    (rf"\bmedium[ -]close[ -]?(?:-?ups?\b|{_SHOT})|\bmcu\b", "medium close-up"),
    (rf"\b(?:medium[ -](?:wide|long|full)|cowboy|american){_SHOT}", "medium wide"),
    (rf"\bextreme(?:ly)?[ -]close[ -]?(?:-?ups?\b|{_SHOT})|\b(?:[ex]cu|macro shot)\b", "extreme close-up"),
    (r"\b(?:big[ -]|tight[ -])?close[ -]?ups?\b|\b\w?cu\b", "close-up"),
    (rf"\b(?:close|tight|detail){_SHOT}", "close-up"),
    (rf"\b(?:medium|mid|waist){_SHOT}", "medium"),
    (rf"\b(?:extreme(?:ly)?|very)[ -](?:wide|long){_SHOT}", "extreme wide"),
    (rf"\b(?:wide|long|full|full-body|establishing|master){_SHOT}", "wide"),
)
_SIZES_OF = {  # what lies between two sizes is satisfied by either
    "extreme wide": ("wide",),
    "wide": ("wide",),
    "medium wide": ("wide", "medium"),
    "medium": ("medium",),
    "medium close-up": ("medium", "close-up"),
    "close-up": ("close-up",),
    "extreme close-up": ("close-up",),
}

_FILMED = r"\b(?:shot|filmed|framed|viewed|seen)"
_ANGLE_TERMS: tuple[tuple[str, str], ...] = (
    (r"\beye[ -]level\b", "eye level"),
    (rf"\blow[ -]angles?\b|{_FILMED} from (?:far )?below\b|\bworm['’]?s[ -]eye\b", "low angle"),
    (rf"\bhigh[ -]angles?\b|{_FILMED} from (?:high )?above\b", "high angle"),
    (rf"\b(?:overhead|top[ -]down|bird['’]?s[ -]eye){_SHOT}|\bbird['’]?s[ -]eye\b", "overhead"),
    # Whoever looks over her shoulder is no camera.
    (r"\bover[ -]the[ -]shoulder[ -](?:shot|view|framing|angle)s?\b|\bover-the-shoulder\b", "over the shoulder"),
    (r"\b(?:shot|view|camera|filmed|framed)\b[^.;!?]{0,24}\bover\b[^.;!?]{0,24}\bshoulders?\b", "over the shoulder"),
    (r"\b(?:dutch|canted|oblique)[ -](?:angle|tilt|shot|view)s?\b", "dutch angle"),
)

_HOW = r"(?:\s+(?:very|slowly|slightly|gently|smoothly|quickly|steadily|then|and|back|over|across|around))*"
_TO = rf"{_HOW}\s+(?:to(?:wards?)?\s+)?(?:the\s+|its\s+|screen[ -])?"
_CAMERA = r"\b(?:camera|lens|shot|framing|we)\b[^.;!?]{0,40}?\b"  # who moves, if the verb alone could be anybody's
_SIDEWAYS = r"(?:trucks?|trucking|tracks?|tracking|slides?|sliding|dollies|moves?|moving|glides?|gliding|swings?)"
_LIFTED = r"(?:cranes?|pedestals?|booms?|rises?|rising|lowers?|moves?|moving)"
_ADVANCES = r"(?:push(?:es|ing)?|moves?|moving|tracks?|tracking|glides?|gliding|comes?|creeps?)"
_RETREATS = r"(?:pull(?:s|ing)?|moves?|moving|tracks?|tracking|glides?|gliding|retreats?)"
_FIXED = r"(?:static|stationary|locked[ -](?:off|down)|fixed|immobile|motionless)"
_CAMERA_TERMS: tuple[tuple[str, str], ...] = (
    *(
        (term, f"pan {side}")
        for side in ("left", "right")
        for term in (
            rf"\b(?:pans|panning){_TO}{side}(?:wards?)?\b",
            rf"\b(?:pans?|panning)\b[^.;!?]{{0,30}}?\bto the {side}\b",
            rf"(?<!frying )(?<!cooking )\bpan[ -]{side}\b|\b{side}ward pan\b",
            rf"{_CAMERA}{_SIDEWAYS}{_TO}{side}(?:wards?)?\b",
        )
    ),
    *(
        (term, f"tilt {way}")
        for way in ("up", "down")
        for term in (
            rf"\b(?:tilts?|tilting){_HOW}[ -]+{way}(?:wards?)?\b|\b{way}ward tilt\b",
            rf"{_CAMERA}{_LIFTED}{_HOW}\s+{way}(?:wards?)?\b",
        )
    ),
    (rf"\b(?:zoom(?:s|ing)?|dolly|dollies|dollying){_HOW}[ -]+(?:in|into)\b", "zoom in"),
    (rf"{_CAMERA}{_ADVANCES}{_HOW}\s+(?:in|into|forwards?|closer)\b", "zoom in"),
    (r"\bpush-in\b|\b(?:slow|gentle|steady|quick) push in\b", "zoom in"),
    (rf"\b(?:zoom(?:s|ing)?|dolly|dollies|dollying){_HOW}[ -]+(?:out|away)\b", "zoom out"),
    (rf"{_CAMERA}{_RETREATS}{_HOW}\s+(?:out|back|backwards?|away)\b", "zoom out"),
    (r"\bpull-(?:out|back)\b|\b(?:slow|gentle|steady|quick) pull (?:out|back)\b", "zoom out"),
    (rf"\b(?:{_FIXED}|tripod)[ -](?:camera|shot|frame|view|framing)\b", "static"),
    (rf"\bcamera\b[^.;!?]{{0,24}}?\b(?:{_FIXED}|still|on a tripod)\b", "static"),
)
_UNMOVED = r"\bcamera\b(?:\s+\w+)?\s+(?:does\s+not|doesn['’]t|never)\s+move[sd]?\b|\bno camera (?:movement|motion)\b"
_MOVES = r"(?:pan|tilt|zoom|doll|push|pull|track|truck|crane)"
_DENIED = rf"\b(?:does\s+not|doesn['’]t|never|without|not|no)\s+(?:any\s+)?{_MOVES}\w*[^.;,!?]*"
_UNTRACEABLE = (
    r"\b(?:camera|shot|lens)\b[^.;!?]{0,40}?\b(?:orbits?|arcs?|circles?|circling|shakes?|shaking|rolls?)\b"
    r"|\b(?:hand-?held|shaky|orbit(?:ing|al)?|arc|whip[ -]pan)\b(?: (?:camera|shot))?"
)


def asked_size(caption: str) -> tuple[str, ...] | None:
    """The shot sizes, of `SIZES`, that would satisfy a caption; None if it asks for none or for several.

    "Long", "full" and "establishing" are wide; what lies between two sizes ("medium close-up") is satisfied by either.
    """
    terms = asked_scale(caption)
    return None if terms is None else _SIZES_OF[terms[0]]


def asked_scale(caption: str) -> tuple[str, ...] | None:
    """The same in the finer terms of `SCALE`, those of one size that a caption names; None likewise."""
    text, found = caption.lower(), []
    for pattern, term in _SCALE_TERMS:
        text, count = re.subn(pattern, " ", text)
        found += [term] * bool(count)
    return tuple(found) if len({_SIZES_OF[term] for term in found}) == 1 else None


def steps_apart(one: str, other: str) -> int:
    """How far two terms of `SCALE` are apart; neighbours are 1, where film people draw the line differently."""
    return abs(SCALE.index(one) - SCALE.index(other))


def asked_angle(caption: str) -> str | None:
    """The camera angle, of `ANGLES`, that a caption asks for; None if it asks for none or for several."""
    text = re.sub(r"\b(?:no|not|never|without)\b[^.;,!?]{0,24}", " ", caption.lower())
    found = {angle for pattern, angle in _ANGLE_TERMS if re.search(pattern, text)}
    return found.pop() if len(found) == 1 else None


def asked_camera(caption: str) -> str | None:
    """The camera movement, of `CAMERAS`, that a caption asks for; None if it asks for none or for several.

    Movements are named by what they do to the picture: a camera that is pushed in is a zoom in, one that is carried to
    the left is a pan to the left.
    """
    text = caption.lower()
    found = {"static"} if re.search(_UNMOVED, text) else set()
    text = re.sub(_DENIED, " ", re.sub(_UNMOVED, " ", text))
    if re.search(_UNTRACEABLE, text):
        return None
    found |= {movement for term, movement in _CAMERA_TERMS if re.search(term, text)}
    return found.pop() if len(found) == 1 else None
