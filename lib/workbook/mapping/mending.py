"""Cleaning rules that mend or give up: a mail address, a telephone number, a country, a date, a number out of a text.

Each is GoogleSQL that yields NULL for what it cannot mend; `else` says what becomes of that. The knowledge of numbers and
countries is that of phonenumbers and pycountry, written into the statement when it is made.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

# What becomes of a value that cannot be mended: the row stays with NULL, the value stays, the row is set aside.
POLICIES = ("null", "keep", "reject")
# https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1, and letters of any script as RFC 6531 has them.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]|[^\x00-\x7F\s]"
_LABEL = r"(?:[A-Za-z0-9]|[^\x00-\x7F\s])(?:(?:[A-Za-z0-9\-]|[^\x00-\x7F\s]){0,61}(?:[A-Za-z0-9]|[^\x00-\x7F\s]))?"
_MAIL = rf"^(?:{_ATOM})+(?:\.(?:{_ATOM})+)*@(?:{_LABEL}\.)+(?:[A-Za-z]|[^\x00-\x7F\s]){{2,63}}$"
_BESIDE = "[\\s\u00a0\u202f€$£¥]"


@dataclass(frozen=True)
class Option:
    """A key of a rule's options: its default, and what it may be."""

    default: Any
    what: str
    fits: Callable[[Any], bool]


def _one_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1


def _region(value: Any) -> bool:
    import phonenumbers

    return isinstance(value, str) and value in phonenumbers.SUPPORTED_REGIONS


def _formats(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) and "%" in item for item in value)
    )


ELSE = Option("null", "`null`, `keep` or `reject`", lambda value: value in POLICIES)
TYPED_ELSE = Option("null", "`null` or `reject`", lambda value: value in ("null", "reject"))


def email(inner: str, options: Mapping[str, Any]) -> str:
    """An address as it is delivered to: the domain in lower case, what stands before it as it is."""
    local, domain = f"REGEXP_EXTRACT({inner}, r'^(.+)@')", f"LOWER(REGEXP_EXTRACT({inner}, r'@([^@]+)$'))"
    return (
        f"IF(REGEXP_CONTAINS({inner}, {_text(_MAIL)}) AND BYTE_LENGTH({inner}) <= 254 AND BYTE_LENGTH({local}) <= 64,"
        f" CONCAT({local}, '@', {domain}), NULL)"
    )


def phone(inner: str, options: Mapping[str, Any]) -> str:
    """A number as the whole world dials it (E.164); one without a country's code is of the country of the options.

    A number of that country must be one by its plan; of others the country's code must exist and the length be possible.
    """
    # Here, since few mappings ask for it and its plans take their time to load.
    import phonenumbers

    plan = phonenumbers.PhoneMetadata.metadata_for_region(options["country"])
    assert plan is not None
    assert plan.general_desc is not None
    code, own = str(plan.country_code), plan.general_desc.national_number_pattern
    away, home = plan.international_prefix or "00", plan.national_prefix_for_parsing or plan.national_prefix
    strip = f"REGEXP_REPLACE({{}}, {_text(f'^(?:{home})')}, '')" if home and "(" not in home else "{}"
    codes = "|".join(sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE), key=len, reverse=True))
    # Step by step, each on what the one before it gave: digits, with the country's code, without it where it is the own.
    digits = f"SELECT REGEXP_REPLACE({inner}, '[^0-9+]', '') AS d, {inner} AS whole"
    dialled = (
        "SELECT whole, CASE WHEN STARTS_WITH(d, '+') THEN SUBSTR(d, 2)"
        f" WHEN REGEXP_CONTAINS(d, {_text(f'^(?:{away})')}) THEN REGEXP_REPLACE(d, {_text(f'^(?:{away})')}, '')"
        f" ELSE CONCAT('{code}', {strip.format('d')}) END AS i FROM ({digits})"
    )
    national = f"SELECT whole, i, {strip.format(f'SUBSTR(i, {len(code) + 1})')} AS n FROM ({dialled})"
    return (
        "(SELECT CASE WHEN REGEXP_CONTAINS(whole, '[A-Za-z]') OR STRPOS(i, '+') > 0 THEN NULL"
        f" WHEN STARTS_WITH(i, '{code}') THEN IF(REGEXP_CONTAINS(n, {_text(f'^(?:{own})$')}), CONCAT('+{code}', n), NULL)"
        f" WHEN REGEXP_CONTAINS(i, {_text(f'^(?:{codes})')}) AND CHAR_LENGTH(i) BETWEEN 8 AND 15 THEN CONCAT('+', i) END"
        f" FROM ({national}))"
    )


def country(inner: str, options: Mapping[str, Any]) -> str:
    """A country as its two letters of ISO 3166, from those, the three letters, or its name in English."""
    two, three, names = _countries()
    coded = " ".join(f"WHEN '{long}' THEN '{short}'" for long, short in three.items())
    named = " ".join(f"WHEN {_text(name)} THEN '{short}'" for name, short in names.items())
    return (
        f"(SELECT CASE CHAR_LENGTH(c) WHEN 2 THEN IF(c = 'UK', 'GB', IF(c IN ({', '.join(map(repr, two))}), c, NULL))"
        f" WHEN 3 THEN CASE c {coded} END ELSE CASE c {named} END END FROM (SELECT UPPER({inner}) AS c))"
    )


def date(inner: str, options: Mapping[str, Any]) -> str:
    """A date by the first of the formats that it has."""
    tries = [f"SAFE.PARSE_DATE({_text(form)}, {inner})" for form in options["formats"]]
    return tries[0] if len(tries) == 1 else f"COALESCE({', '.join(tries)})"


def number(inner: str, options: Mapping[str, Any]) -> str:
    """A number written for people: groups of three digits, a mark before the decimals, a currency beside it."""
    point, group = options["decimal"], options["group"]
    form = rf"^[+\-]?(?:[0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})+|[0-9]+)(?:{re.escape(point)}[0-9]+)?$"
    bare = f"SELECT REGEXP_REPLACE({inner}, {_text(_BESIDE)}, '') AS b"
    return (
        f"(SELECT IF(REGEXP_CONTAINS(b, {_text(form)}),"
        f" SAFE_CAST(REPLACE(REPLACE(b, {_text(group)}, ''), {_text(point)}, '.') AS NUMERIC), NULL) FROM ({bare}))"
    )


def redact(inner: str, options: Mapping[str, Any]) -> str:
    """The first characters, and a star for each of the others."""
    keep = options["keep"]
    return f"CONCAT(SUBSTR({inner}, 1, {keep}), REPEAT('*', GREATEST(CHAR_LENGTH({inner}) - {keep}, 0)))"


EMAIL = {"else": ELSE}
PHONE = {"country": Option(None, "two letters of the country whose numbers lack its code", _region), "else": ELSE}
COUNTRY = {"else": ELSE}
DATE = {"formats": Option(("%Y-%m-%d",), "a list of formats, as '%d.%m.%Y'", _formats), "else": TYPED_ELSE}
NUMBER = {
    "decimal": Option(".", "one character", _one_character),
    "group": Option(",", "one character", _one_character),
    "else": TYPED_ELSE,
}
REDACT = {
    "keep": Option(0, "a number", lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0)
}


@cache
def _countries() -> tuple[tuple[str, ...], dict[str, str], dict[str, str]]:
    """The codes of two letters, those of three, and all names in capitals, each with its two letters."""
    import pycountry

    known = sorted(pycountry.countries, key=lambda one: one.alpha_2)
    names = {
        name.upper(): one.alpha_2
        for attribute in ("official_name", "common_name", "name")
        for one in known
        if (name := getattr(one, attribute, None)) and len(name) > 3
    }
    return tuple(one.alpha_2 for one in known), {one.alpha_3: one.alpha_2 for one in known}, names


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
