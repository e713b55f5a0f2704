"""Text that the fonts at hand can draw: a fallback for Chinese, Japanese and Korean.

Where the system has no font for a letter, kana and hangul are spelled as Unicode calls
them, and other letters are numbered by their code points: no boxes in place of names.
"""

import functools
import unicodedata

from matplotlib import font_manager

_FIRST = "DejaVu Sans"  # comes with Matplotlib
_FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK TC",
    "Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "IPAexGothic",
    "IPAGothic", "NanumGothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo",
    "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei", "Arial Unicode MS",
)  # fmt: skip
# Unicode's names of letters whose last word is how they sound.
_SOUNDS = ("HIRAGANA LETTER ", "KATAKANA LETTER ", "HANGUL SYLLABLE ")


@functools.cache
def families() -> tuple[str, ...]:
    """The font of all pictures and those of `_FALLBACKS` that the system has."""
    present = set(font_manager.get_font_names())
    return (_FIRST, *(name for name in _FALLBACKS if name in present))


def legible(text: str) -> str:
    """The text with letters that no font here has spelled or numbered.

    Args:
        text: such as the name of a class.

    Returns:
        "행走" as "haeng 8D70" where there is no font for it.
    """
    if all(ord(letter) in _letters() or letter.isspace() for letter in text):
        return text
    words = [""]
    for letter in text:
        if ord(letter) in _letters() or letter.isspace():
            words[-1] += letter
        else:
            words += [_spelled(letter), ""]
    return " ".join(" ".join(words).split())


def _spelled(letter):
    name = unicodedata.name(letter, "")
    for start in _SOUNDS:
        if name.startswith(start):
            return name.removeprefix(start).split()[-1].lower()
    return f"{ord(letter):04X}"


@functools.cache
def _letters():
    paths = [font_manager.findfont(name) for name in families()]
    return {
        code for path in paths for code in font_manager.get_font(path).get_charmap()
    }
