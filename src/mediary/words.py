"""Words of any language, as they are compared: what a text has, and which of them say nothing of its subject."""
# ruff: noqa: RUF001, SIM905 (other scripts have letters that look like Latin ones; word lists read best as text)

import re
import unicodedata
from collections.abc import Iterable, Iterator

# Letters, digits, and the vowel signs that Python does not count among the letters.
_WORD = re.compile(
    r"[\w\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31-\u109f]+"
)
# Scripts that write no spaces between words, and Hangul, whose words carry their particles: read by pairs.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)

# Words of grammar in the languages most asked in; they say nothing of what a question is about.
GRAMMAR = frozenset(
    """
    a about all also an and any are as at be been but by can could did do does for from had has have he her him his how
    i if in into is it its me my no not of on or our she should so some tell than that the their them then there these
    they this those to us was we were what when where which who whom whose why will with would you your please give
    aber als am an auch auf aus bei bin bist bitte das dass dem den der des die dies diese dieser du ein eine einem
    einen einer er es für hat haben hatte ich ihr im in ist ja kann mein mit nach nicht noch nur oder sein sie sind so
    über um und uns vom von vor wann war waren warum was welche welcher welches wem wen wenn wer werden wie wieso wir
    wird wo wurde zu zum zur
    au aux avec ce ces cette comment dans de des du elle en est et été il ils je la le les leur lui mais mon ne nous
    où par pas pour pourquoi quand que quel quelle quelles quels qui sa se ses son sont sur un une vous
    al como cómo con cual cuál cuando cuándo cuanto de del donde dónde el ella en es esta está este hay la las lo los
    más me mi muy no o para pero por que qué quien quién se ser si sin son su sus un una y ya
    che chi come con cosa da dei del della di dove gli i il io l lo ma nel non per perché quale quando quanto sono su
    ao as com como da das de do dos e em é foi não na nas no nos o onde os ou para por qual quando
    quanto quem são um uma
    de een en het hoe ik is met op te van voor waar waarom wanneer wat welke wie zijn
    в во и к как кто где когда на не о об от по почему с со у что это чей какой какая какие какое ли же
    什么 是什 什麼 是甚 多少 哪里 哪個 哪个 怎么 怎麼 为什 為什 です ます とは すか 何で のは いつ どこ だれ なぜ
    무엇 언제 어디 누구 입니 니까 인가 나요
    """.split()
)


def words(text: str) -> list[str]:
    """The words of a text as they are compared: case folded, scripts without spaces in pairs of characters."""
    if text.isascii():
        return _WORD.findall(text.lower())
    return list(_split_unspaced(_WORD.findall(unicodedata.normalize("NFKC", text).casefold())))


def _split_unspaced(found: Iterable[str]) -> Iterator[str]:
    for word in found:
        if word.isascii() or not UNSPACED.search(word):
            yield word
            continue
        yield from (rest for rest in UNSPACED.sub(" ", word).split())
        for run in UNSPACED.findall(word):
            yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
