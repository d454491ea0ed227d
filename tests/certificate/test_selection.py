"""What a drive says of itself decides what may be done to it; what it does not say decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.assurance import DESTROYS_A_KEY
from certificate.errors import Code, Malformed, Refused
from certificate.messages import CapabilityReport, DriveReport, NamespaceReport
from certificate.selection import KEYS_ONLY, METHODS, capabilities, media_kind, obstacles, reaches, select
from certificate.statements.vocabulary import Escrow, MediaKind, Method, OverwritePattern, Technique

CRYPTO = Technique.NVME_SANITIZE_CRYPTO
BLOCK = Technique.NVME_SANITIZE_BLOCK
DRIVE_OVERWRITE = Technique.NVME_SANITIZE_OVERWRITE
FORMAT_CRYPTO = Technique.NVME_FORMAT_CRYPTO
FORMAT_USER_DATA = Technique.NVME_FORMAT_USER_DATA
KEYSTREAM = Technique.OVERWRITE_KEYSTREAM

#: All that NVM Express has: sanitize of all three kinds, Format, a cryptographic one.
ALL = {"SANICAP": "07000000", "OACS": "0200", "FNA": "04"}
NOTHING = {"SANICAP": "00000000", "OACS": "0000", "FNA": "00"}
PLAIN_FORMAT = {"NS1:FLBAS": "00", "NS1:DPS": "00"}


def namespace(nsid: int = 1, **changes: Any) -> NamespaceReport:
    fields = {"nsid": nsid, "capacity_bytes": 1 << 20, "logical_block_bytes": 512, "is_attached": True}
    return NamespaceReport(**(fields | changes))


def drive(words: Mapping[str, str], **changes: Any) -> DriveReport:
    fields: dict[str, Any] = {
        "transport": "nvme",
        "attachment": "internal",
        "device_class": "emulated",
        "manufacturer": "Acme",
        "model": "Model 1",
        "firmware": "1.0",
        "serial": "S1",
        "capacity_bytes": 1 << 20,
        "unallocated_capacity_bytes": 0,
        "is_write_protected": False,
        "namespaces": (namespace(),),
        "layers": (),
        "stack": (),
        "status_log": "00" * 64,
        "refused": None,
    }
    reported = tuple(CapabilityReport(field=name, raw=raw) for name, raw in words.items())
    return DriveReport(**(fields | {"capabilities": reported} | changes))


def formatted(words: Mapping[str, str], **changes: Any) -> DriveReport:
    """A drive whose only namespace says how it is formatted."""
    return drive({**words, **PLAIN_FORMAT}, **changes)


def two(words: Mapping[str, str], *formats: tuple[str, str], **changes: Any) -> DriveReport:
    """A drive of two namespaces with these FLBAS and DPS."""
    own = {
        f"NS{nsid}:{name}": raw
        for nsid, pair in enumerate(formats or (("00", "00"), ("00", "00")), start=1)
        for name, raw in zip(("FLBAS", "DPS"), pair, strict=True)
    }
    return drive({**words, **own}, **({"namespaces": (namespace(1), namespace(2))} | changes))


def chosen(
    report: DriveReport, floor: Method = Method.CLEAR, *, escrow: Escrow = Escrow.UNKNOWN
) -> tuple[Technique, ...]:
    return select(capabilities(report), floor, overwrite=OverwritePattern.KEYSTREAM, escrow=escrow)


def refusal_of(report: DriveReport, floor: Method = Method.PURGE) -> Refused:
    with pytest.raises(Refused) as caught:
        chosen(report, floor)
    assert caught.value.code is Code.TECHNIQUE_UNAVAILABLE
    return caught.value


# --- order and floor ----------------------------------------------------------------------------------------


def test_the_best_comes_first_and_the_hosts_own_overwrite_last() -> None:
    everything = (CRYPTO, BLOCK, DRIVE_OVERWRITE, FORMAT_CRYPTO, FORMAT_USER_DATA, KEYSTREAM)
    assert chosen(formatted(ALL)) == everything


def test_nothing_below_the_floor_is_chosen() -> None:
    assert chosen(formatted(ALL), Method.PURGE) == (CRYPTO, BLOCK, DRIVE_OVERWRITE)


def test_the_overwrite_is_the_one_that_the_plan_says() -> None:
    able = capabilities(formatted(NOTHING))
    patterns = {OverwritePattern.ZERO: Technique.OVERWRITE_ZERO, OverwritePattern.KEYSTREAM: KEYSTREAM}
    for pattern, technique in patterns.items():
        assert select(able, Method.CLEAR, overwrite=pattern, escrow=Escrow.UNKNOWN) == (technique,)


def test_no_technique_reaches_destruction() -> None:
    assert "reaches destroy" in refusal_of(formatted(ALL), Method.DESTROY).reason
    assert not any(reaches(technique, Method.DESTROY) for technique in Technique)


def test_destroying_the_keys_of_a_layer_is_never_a_mediums_technique() -> None:
    assert METHODS[Technique.LUKS] is Method.NONE
    for floor in (Method.CLEAR, Method.PURGE):
        found = obstacles(capabilities(formatted(ALL)), floor, overwrite=OverwritePattern.ZERO)
        assert Technique.LUKS not in found


def test_a_refusal_says_what_stands_in_the_way_of_each_technique() -> None:
    reason = refusal_of(formatted(NOTHING, unallocated_capacity_bytes=4096), Method.CLEAR).reason
    assert reason == (
        "no technique of this drive reaches clear: "
        "SANICAP 00000000h offers no cryptographic erase; "
        "SANICAP 00000000h offers no block erase; "
        "SANICAP 00000000h offers no overwrite; "
        "FNA 00h offers no cryptographic Format; "
        "OACS 0000h offers no Format NVM; "
        "UNVMCAP 4096: an overwrite would leave it"
    )


# --- copies of keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("escrow", [Escrow.NONE, Escrow.UNKNOWN])
def test_copies_of_keys_that_nobody_knows_of_change_no_choice(escrow: Escrow) -> None:
    assert chosen(formatted(ALL), escrow=escrow) == chosen(formatted(ALL))


def test_where_copies_of_keys_are_known_nothing_is_chosen_that_may_only_destroy_a_key() -> None:
    assert chosen(formatted(ALL), escrow=Escrow.KNOWN) == (BLOCK, DRIVE_OVERWRITE, KEYSTREAM)
    assert chosen(formatted(ALL), Method.PURGE, escrow=Escrow.KNOWN) == (BLOCK, DRIVE_OVERWRITE)
    assert chosen(formatted({**ALL, "SANICAP": "01000000"}), escrow=Escrow.KNOWN) == (KEYSTREAM,)


def test_where_nothing_else_reaches_the_floor_the_keys_are_destroyed_nevertheless() -> None:
    only = formatted({**ALL, "SANICAP": "01000000"})
    assert chosen(only, Method.PURGE, escrow=Escrow.KNOWN) == (CRYPTO,)


def test_what_selection_leaves_out_is_what_assurance_makes_inconclusive() -> None:
    assert DESTROYS_A_KEY - {Technique.LUKS} == KEYS_ONLY


# --- Sanitize -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("01000000", (CRYPTO,)),
        ("02000000", (BLOCK,)),
        ("04000000", (DRIVE_OVERWRITE,)),
        ("070000a0", (CRYPTO, BLOCK, DRIVE_OVERWRITE)),
    ],
)
def test_the_sanitize_word_is_read_little_endian(word: str, expected: tuple[Technique, ...]) -> None:
    assert chosen(drive({**ALL, "SANICAP": word}), Method.PURGE) == expected


def test_a_word_read_big_endian_would_promise_what_the_drive_did_not() -> None:
    assert "reaches purge" in refusal_of(drive({**ALL, "SANICAP": "00000007"})).reason


def test_a_sanitize_reaches_what_lies_outside_the_namespaces() -> None:
    apart = (namespace(1), namespace(2, is_attached=False))
    report = drive(ALL, namespaces=apart, unallocated_capacity_bytes=4096)
    assert chosen(report) == (CRYPTO, BLOCK, DRIVE_OVERWRITE)


# --- Format -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"OACS": "0200", "FNA": "04"}, (FORMAT_CRYPTO, FORMAT_USER_DATA)),
        ({"OACS": "0200", "FNA": "0b"}, (FORMAT_USER_DATA,)),
        ({"OACS": "0002", "FNA": "04"}, ()),
        ({"OACS": "fdff", "FNA": "ff"}, ()),
    ],
)
def test_a_format_needs_its_bits(words: dict[str, str], expected: tuple[Technique, ...]) -> None:
    """QEMU destroys nothing and answers success to a cryptographic Format without FNA bit 2."""
    assert chosen(formatted({**NOTHING, **words})) == (*expected, KEYSTREAM)


def test_a_format_that_would_leave_unallocated_capacity_is_not_chosen() -> None:
    report = formatted({**ALL, "SANICAP": "00000000"}, unallocated_capacity_bytes=4096)
    assert "UNVMCAP 4096: Format would leave it" in refusal_of(report, Method.CLEAR).reason


def test_a_format_that_would_leave_a_detached_namespace_is_not_chosen() -> None:
    report = two({**ALL, "SANICAP": "00000000"}, namespaces=(namespace(1), namespace(2, is_attached=False)))
    reason = refusal_of(report, Method.CLEAR).reason
    assert "namespace 2 is not attached: Format would leave it" in reason
    assert "namespace 2 is not attached: an overwrite would leave it" in reason


def test_a_drive_without_namespaces_is_neither_formatted_nor_overwritten() -> None:
    reason = refusal_of(drive({**ALL, "SANICAP": "00000000"}, namespaces=()), Method.CLEAR).reason
    assert "lists no namespace that Format could reach" in reason
    assert "lists no namespace that an overwrite could reach" in reason


@pytest.mark.parametrize("missing", ["NS1:FLBAS", "NS1:DPS"])
def test_a_namespace_whose_format_is_unknown_is_not_formatted(missing: str) -> None:
    words = {**ALL, **PLAIN_FORMAT}
    for without in (
        {name: raw for name, raw in words.items() if name != missing},
        {**words, missing: "not_observed"},
    ):
        assert FORMAT_CRYPTO not in chosen(drive(without))
        assert CRYPTO in chosen(drive(without))


@pytest.mark.parametrize(
    ("other", "is_alike"),
    [
        (("00", "00"), True),
        (("01", "00"), False),
        (("10", "00"), False),
        (("20", "00"), False),
        (("00", "01"), False),
    ],
)
@pytest.mark.parametrize("fna", ["05", "06", "07"])
def test_a_format_that_reaches_all_namespaces_needs_them_formatted_alike(
    other: tuple[str, str], is_alike: bool, fna: str
) -> None:
    report = two({**ALL, "FNA": fna}, ("00", "00"), other)
    assert (FORMAT_CRYPTO in chosen(report)) is is_alike
    assert (FORMAT_USER_DATA in chosen(report)) is is_alike


def test_a_format_for_each_namespace_lets_them_differ() -> None:
    assert FORMAT_CRYPTO in chosen(two({**ALL, "FNA": "04"}, ("00", "00"), ("01", "01")))


# --- overwriting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["virtio", "image"])
def test_a_plain_drive_is_overwritten_and_nothing_else(transport: str) -> None:
    report = drive({}, transport=transport)
    assert chosen(report) == (KEYSTREAM,)
    assert media_kind(capabilities(report)) is MediaKind.PLAIN


def test_a_plain_drive_reaches_no_purge() -> None:
    reason = refusal_of(drive({}, transport="virtio")).reason
    assert reason == "no technique of this drive reaches purge"


def test_a_plain_drives_words_offer_nothing() -> None:
    assert chosen(drive(ALL, transport="virtio")) == (KEYSTREAM,)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"logical_block_bytes": 0}, "blocks of 0 bytes"),
        ({"logical_block_bytes": 520}, "blocks of 520 bytes"),
        ({"logical_block_bytes": 8192}, "blocks of 8192 bytes"),
        ({"capacity_bytes": 0}, "0 bytes, which are no blocks"),
        ({"capacity_bytes": 1000}, "1000 bytes, which are no blocks"),
    ],
)
def test_what_is_no_row_of_blocks_is_not_overwritten(changes: dict[str, int], why: str) -> None:
    report = drive({}, transport="virtio", namespaces=(namespace(**changes),))
    assert why in refusal_of(report, Method.CLEAR).reason


def test_a_namespace_amid_whose_last_block_another_begins_is_not_overwritten() -> None:
    odd = (namespace(1, capacity_bytes=4096 + 512), namespace(2))
    assert "ends amid a block" in refusal_of(two(NOTHING, namespaces=odd), Method.CLEAR).reason
    assert chosen(two(NOTHING, namespaces=(namespace(1), namespace(2, capacity_bytes=4096 + 512)))) == (
        KEYSTREAM,
    )


def test_metadata_in_line_with_the_data_would_outlive_an_overwrite() -> None:
    assert KEYSTREAM not in chosen(drive({**ALL, "NS1:FLBAS": "10", "NS1:DPS": "00"}))


# --- what gets no technique at all --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SANICAP", "OACS", "FNA"])
def test_a_missing_word_is_a_refusal_and_not_a_guess(name: str) -> None:
    words = {key: raw for key, raw in ALL.items() if key != name}
    for floor in (Method.CLEAR, Method.PURGE):
        assert name in refusal_of(drive(words), floor).reason
        assert name in refusal_of(drive({**words, name: "not_observed"}), floor).reason
    with pytest.raises(Refused):
        media_kind(capabilities(drive(words)))


@pytest.mark.parametrize("transport", ["nvme", "virtio"])
def test_a_write_protected_drive_gets_no_technique(transport: str) -> None:
    report = formatted(ALL, is_write_protected=True, transport=transport)
    assert "write-protected" in refusal_of(report, Method.CLEAR).reason


def test_a_drive_the_inventory_refused_gets_no_technique_and_keeps_its_code() -> None:
    assert "DRIVE_IN_USE" in refusal_of(drive({}, refused="DRIVE_IN_USE")).reason


def test_another_transport_gets_no_technique() -> None:
    assert "sata" in refusal_of(drive(ALL, transport="sata"), Method.CLEAR).reason
    with pytest.raises(Refused):
        media_kind(capabilities(drive(ALL, transport="sata")))


@pytest.mark.parametrize("attachment", ["internal", "remote", "removable", "virtual"])
def test_how_a_drive_is_attached_changes_nothing_because_the_plan_names_it(attachment: str) -> None:
    assert chosen(formatted(ALL, attachment=attachment)) == chosen(formatted(ALL))


# --- reading the report -------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["", "03", "0300000", "0300000000", "0x030000", "zz000000", "0300000A"])
def test_a_word_of_another_length_or_no_hexadecimal_is_malformed(raw: str) -> None:
    with pytest.raises(Malformed) as caught:
        capabilities(drive({**ALL, "SANICAP": raw}))
    assert caught.value.code is Code.LINE_INVALID


@pytest.mark.parametrize("name", ["NS1:FLBAS", "NS1:DPS"])
def test_a_namespaces_word_of_another_length_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        capabilities(drive({**ALL, name: "0000"}))


def test_a_word_of_a_namespace_that_is_not_listed_is_malformed() -> None:
    with pytest.raises(Malformed, match="not listed"):
        capabilities(drive({**ALL, "NS2:FLBAS": "00"}))


def test_a_namespace_listed_twice_is_malformed() -> None:
    with pytest.raises(Malformed, match="listed twice"):
        capabilities(drive(ALL, namespaces=(namespace(1), namespace(1))))


def test_a_word_named_twice_is_malformed() -> None:
    once = drive(ALL)
    again = CapabilityReport(field="SANICAP", raw="00000000")
    twice = dataclasses.replace(once, capabilities=(*once.capabilities, again))
    with pytest.raises(Malformed):
        capabilities(twice)


def test_a_drive_is_self_encrypting_exactly_when_it_has_a_cryptographic_sanitize() -> None:
    assert media_kind(capabilities(drive(ALL))) is MediaKind.SELF_ENCRYPTING_NVME
    for word in ("02000000", "06000000", "00000000"):
        assert media_kind(capabilities(drive({**ALL, "SANICAP": word}))) is MediaKind.NVME


def test_a_drive_that_may_deallocate_all_the_same_says_so() -> None:
    assert capabilities(drive({**ALL, "SANICAP": "00000020"})).is_no_deallocate_inhibited
    assert not capabilities(drive({**ALL, "SANICAP": "000000c0"})).is_no_deallocate_inhibited


# --- for every drive ----------------------------------------------------------------------------------------

WORDS = st.fixed_dictionaries(
    {"SANICAP": st.integers(0, 2**32 - 1), "OACS": st.integers(0, 2**16 - 1), "FNA": st.integers(0, 255)}
)
WIDTHS = {"SANICAP": 4, "OACS": 2, "FNA": 1}
LAYOUTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["00", "01", "10", None]), st.sampled_from(["00", "01", None])),
    max_size=3,
)


@given(
    words=WORDS,
    layout=LAYOUTS,
    unallocated=st.sampled_from([0, 4096]),
    floor=st.sampled_from([Method.CLEAR, Method.PURGE]),
    pattern=st.sampled_from(OverwritePattern),
    transport=st.sampled_from(["nvme", "virtio", "image"]),
)
def test_what_is_chosen_reaches_the_floor_and_is_offered_by_the_words(
    words: dict[str, int],
    layout: list[tuple[bool, str | None, str | None]],
    unallocated: int,
    floor: Method,
    pattern: OverwritePattern,
    transport: str,
) -> None:
    raw = {name: value.to_bytes(WIDTHS[name], "little").hex() for name, value in words.items()}
    for nsid, (_, flbas, dps) in enumerate(layout, start=1):
        raw |= {} if flbas is None else {f"NS{nsid}:FLBAS": flbas}
        raw |= {} if dps is None else {f"NS{nsid}:DPS": dps}
    spaces = tuple(namespace(nsid, is_attached=each[0]) for nsid, each in enumerate(layout, start=1))
    report = drive(raw, namespaces=spaces, unallocated_capacity_bytes=unallocated, transport=transport)
    try:
        techniques = select(capabilities(report), floor, overwrite=pattern, escrow=Escrow.UNKNOWN)
    except Refused:
        return
    assert techniques
    assert len(set(techniques)) == len(techniques)
    assert all(reaches(technique, floor) for technique in techniques)
    sanitize, oacs, fna = words["SANICAP"], words["OACS"], words["FNA"]
    is_all_reachable = not unallocated and bool(layout) and all(each[0] for each in layout)
    is_known = all(None not in each[1:] for each in layout)
    offered = {
        CRYPTO: sanitize & 1,
        BLOCK: sanitize & 2,
        DRIVE_OVERWRITE: sanitize & 4,
        FORMAT_CRYPTO: oacs & 2 and fna & 4 and is_all_reachable and is_known,
        FORMAT_USER_DATA: oacs & 2 and is_all_reachable and is_known,
    }
    for technique in techniques:
        if technique in offered:
            assert transport == "nvme"
            assert offered[technique], technique
        else:
            assert technique.value == f"overwrite_{pattern.value}"
            assert is_all_reachable
            assert technique is techniques[-1]


@given(words=WORDS)
def test_a_drive_that_offers_less_never_gets_more(words: dict[str, int]) -> None:
    def techniques(values: Mapping[str, int]) -> set[Technique]:
        raw = {name: value.to_bytes(WIDTHS[name], "little").hex() for name, value in values.items()}
        return set(chosen(formatted(raw)))

    everything = techniques(words)
    for name, bits in (("SANICAP", 3), ("OACS", 16)):
        for bit in range(bits):
            assert techniques({**words, name: words[name] & ~(1 << bit)}) <= everything
