"""Everything that is not WAV: mp3 and its tags, MP4, Ogg, FLAC, WebM, ADTS, AMR, AIFF, headerless formats."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from tests.audio.case import ANY, AS_IS, CLEANED, REJECT, REWRAP, SENT, TRANSCODE, Case, Maker, put
from tests.audio.cases_wav import SECONDS, coded, headerless, speech
from tests.audio.handmade import ape, cover, frames, id3v1, id3v2, vbri
from tests.audio.sources import DEBIAN, STATIC, call, encode, honest, prompts, run, silence, voice

CBR = ("-c:a", "libmp3lame", "-b:a", "32k", "-id3v2_version", "0")
VBR = ("-c:a", "libmp3lame", "-q:a", "4", "-id3v2_version", "0")
UNTAGGED = ("-write_xing", "0")
VIDEO = ("-f", "lavfi", "-i", "color=size=64x64:rate=5:duration=3", "-c:v", "mpeg4")
MP3 = "mp3 mp3"


def changed(make: Maker, change: Callable[[bytes], bytes]) -> Maker:
    """Return a maker of what ``change`` makes of another maker's file."""

    def changing(path: Path) -> None:
        make(path)
        path.write_bytes(change(path.read_bytes()))

    return changing


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: round(len(whole) * share)]


def of_a_minute(*arguments: object) -> Maker:
    """Return a maker of a minute of mp3 that begins in silence, where VBR says little of the rest."""
    sound = partial(_minute)
    return lambda path: encode(path, honest(sound(), 22_050), *arguments)


def _minute() -> np.ndarray:
    return np.concatenate([silence(2, 22_050), voice(58.0, 22_050)], axis=1)


def damaged(whole: bytes) -> bytes:
    """Overwrite a stretch in the middle."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([0x5A]) * 3_000 + whole[middle + 3_000 :]


def few_frames(path: Path) -> None:
    """Write 0.44 s of mp3 whose VBRI header says 222 s."""
    encode(path, honest(voice(1.0, 44_100), 44_100), "-c:a", "libmp3lame", "-b:a", "128k", *UNTAGGED,
           "-id3v2_version", "0")  # fmt: skip
    kept = list(islice(frames(path.read_bytes()), 17))
    path.write_bytes(vbri(kept[0], 8_507) + b"".join(kept))


def twice(whole: bytes) -> bytes:
    return whole + whole


def mixed(path: Path) -> None:
    """Write an mp3 that goes on at another rate."""
    encode(path, honest(voice(SECONDS)), *CBR)
    first = path.read_bytes()
    encode(path, honest(voice(SECONDS, 16_000), 16_000), *CBR)
    path.write_bytes(first + path.read_bytes())


def nothing(path: Path) -> None:
    """Write two hours of digital silence, which take less than a megabyte."""
    run(
        STATIC,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "anullsrc=r=8000:cl=mono",
        "-t",
        7200,
        "-c:a",
        "flac",
        path,
    )


def two_tracks(path: Path, *codec: str) -> None:
    encode(path, honest(voice(SECONDS)), "-filter_complex", "[0:a]asplit[a][b];[b]volume=0.5[c]",
           "-map", "[a]", "-map", "[c]", *codec)  # fmt: skip


def encrypted(path: Path) -> None:
    """Write an MP4 under common encryption, as a DRM file has it."""
    encode(path, honest(voice(SECONDS)), "-c:a", "aac", "-encryption_scheme", "cenc-aes-ctr",
           "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb",
           "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")  # fmt: skip


def real(language: str, suffix: str) -> Maker:
    """Return a maker that copies a real prompt of some seconds."""
    return lambda path: path.write_bytes(
        prompts(language, suffix, 40_000 if suffix != "gsm" else 8_000)[3].read_bytes()
    )


MPEG = [
    Case("mp3_cbr", "a.mp3", coded(*CBR), ("clean",), MP3, plans=AS_IS),
    Case("mp3_cbr_untagged", "a.mp3", coded(*CBR, *UNTAGGED), ("clean",), MP3, plans=AS_IS),
    Case("mp3_vbr", "a.mp3", of_a_minute(*VBR), ("clean",), MP3, 60.0, plans=AS_IS),
    Case("mp3_stereo_44100", "a.mp3", lambda path: encode(path, honest(call(SECONDS, 44_100), 44_100), "-c:a",
                                                        "libmp3lame", "-b:a", "128k"),
         ("clean",), MP3, plans=AS_IS),
    Case("mp3_with_id3v2", "a.mp3", changed(coded(*CBR), lambda whole: id3v2(2_000) + whole), ("clean",), MP3,
         plans=AS_IS),
    Case("mp3_with_id3v1_and_ape", "a.mp3", changed(coded(*CBR), lambda whole: whole + ape() + id3v1()),
         ("23",), MP3, plans=AS_IS),
    Case("mp3_cover_art", "a.mp3", changed(coded(*CBR), lambda whole: id3v2(0, cover(1_500_000)) + whole),
         ("23",), MP3, findings=("large_overhead",), may=("video_stream",), plans=REWRAP),
    Case("mp3_cut_at_a_sixth", "a.mp3", changed(of_a_minute(*CBR), cut(1 / 6)), ("4a: CBR mp3 cut", "18"),
         MP3, 10.0, findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("mp3_cut_in_half", "a.mp3", changed(coded(*CBR), cut(0.5)), ("18",), MP3, 5.0,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("mp3_cut_near_the_end", "a.mp3", changed(coded(*CBR), cut(0.97)), ("18",), MP3, 9.7,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("mp3_vbr_cut_in_half", "a.mp3", changed(of_a_minute(*VBR), cut(0.5)), ("18",), MP3, 30.4,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("mp3_cut_in_the_tag", "a.mp3", put(lambda: id3v2(5_000)[:3_000]), ("18", "28"),
         code="no_audio|not_audio|no_audio_stream|decode_failed"),
    Case("mp3_tag_and_nothing_else", "a.mp3", put(lambda: id3v2(5_000)), ("28",),
         code="no_audio|not_audio|no_audio_stream|decode_failed"),
    Case("mp3_vbr_without_xing", "a.mp3", of_a_minute(*VBR, *UNTAGGED), ("4a: VBR mp3", "19"), MP3, 60.0,
         findings=("vbr_without_xing",), may=("header_duration",), plans=SENT),
    Case("mp3_vbr_from_a_pipe", "a.mp3", lambda path: path.write_bytes(_through_a_pipe()), ("19",), MP3, 60.0,
         findings=("vbr_without_xing",), may=("header_duration",), plans=SENT),
    Case("mp3_two_in_one", "a.mp3", changed(of_a_minute(*CBR), twice), ("4a: two mp3s", "19"), MP3, 120.0,
         findings=("concatenated",), may=("header_duration", "trailing_garbage"), plans=SENT),
    Case("mp3_two_with_tags_in_one", "a.mp3", changed(coded(*CBR),
         lambda whole: twice(id3v2(800) + whole + id3v1())), ("19",), MP3, 20.0, findings=("concatenated",),
         may=("header_duration", "trailing_garbage", "garbage", "decode_errors"), plans=SENT),
    Case("mp3_vbri_that_lies", "a.mp3", few_frames, ("4a: vbri", "19"), MP3, 0.44,
         findings=("header_duration",), judged=("short",), may=("shorter_than_header", "vbr_without_xing",
         "upsampled"), plans=ANY),
    Case("mp3_garbage_behind", "a.mp3", changed(coded(*CBR),
         lambda whole: whole + b"<html><body>502 Bad Gateway</body></html>" * 20), ("23",), MP3,
         findings=("garbage",), may=("decode_errors",), plans=REWRAP),
    Case("mp3_zeros_before", "a.mp3", changed(coded(*CBR), lambda whole: bytes(1_000) + whole), ("23",), MP3,
         may=("garbage",), plans=SENT),
    Case("mp3_damaged", "a.mp3", changed(of_a_minute(*CBR), damaged), ("18",), MP3, 59.3,
         findings=("decode_errors",), may=("header_duration", "concatenated", "clipping", "garbage")),
    Case("mp3_of_two_rates", "a.mp3", mixed, ("19",), MP3, 10.0, findings=("mixed_format",),
         may=("header_duration", "concatenated", "decode_errors", "mixed_frames"), plans=REJECT,
         length=False),
    Case("mp2", "a.mp2", coded("-c:a", "mp2", "-b:a", "64k", rate=16_000), ("16",), "mp3 mp2",
         plans=TRANSCODE),
]  # fmt: skip


def _through_a_pipe() -> bytes:
    return run(STATIC, "-v", "error", "-i", "-", *VBR, "-f", "mp3", "-", stdin=honest(_minute(), 22_050))


NAMES = [
    Case("wav_named_mp3", "a.mp3", put(lambda: honest(voice(SECONDS))), ("16",), "wav pcm_s16le",
         findings=("extension_mismatch",), plans=SENT, twin="wav_pcm16"),
    Case("mp3_named_wav", "a.wav", coded(*CBR, "-f", "mp3"), ("16",), MP3, findings=("extension_mismatch",),
         plans=SENT),
    Case("m4a_named_mp3", "a.mp3", coded("-c:a", "aac", "-f", "ipod"), ("4a: m4a named mp3", "16"), "m4a aac",
         findings=("extension_mismatch",), plans=TRANSCODE),
    Case("aac_named_mp3", "a.mp3", coded("-c:a", "aac", "-f", "adts"), ("16",), "aac aac",
         findings=("extension_mismatch",), plans=TRANSCODE),
    Case("mp4_named_aac", "wrong_extension.aac", coded("-c:a", "aac", "-f", "mp4"), ("16",), "mp4 aac",
         findings=("extension_mismatch",), plans=TRANSCODE),
    Case("opus_in_ogg", "a.ogg", coded("-c:a", "libopus", "-b:a", "24k", rate=16_000), ("16",), "ogg opus",
         plans=TRANSCODE),
    Case("no_extension", "recording", put(lambda: honest(voice(SECONDS))), ("16",), "wav pcm_s16le",
         plans=AS_IS, may=("extension_mismatch",), twin="wav_pcm16"),
    Case("capital_extension", "A.WAVE", put(lambda: honest(voice(SECONDS))), ("16",), "wav pcm_s16le",
         plans=AS_IS, twin="wav_pcm16"),
]  # fmt: skip

CONTAINERS = [
    Case("m4a", "a.m4a", coded("-c:a", "aac", "-b:a", "48k"), ("clean",), "m4a aac", plans=TRANSCODE),
    Case("m4a_alac", "a.m4a", coded("-c:a", "alac"), ("clean",), "m4a alac", plans=TRANSCODE,
         twin="wav_pcm16"),
    Case("mp4", "a.mp4", coded("-c:a", "aac", "-b:a", "48k"), ("clean",), "mp4 aac", plans=TRANSCODE),
    Case("aac", "a.aac", coded("-c:a", "aac", "-b:a", "48k"), ("clean",), "aac aac", plans=TRANSCODE),
    Case("ogg_vorbis", "a.ogg", coded("-c:a", "libvorbis", rate=16_000), ("clean",), "ogg vorbis",
         plans=TRANSCODE),
    Case("flac", "a.flac", coded("-c:a", "flac"), ("clean",), "flac flac", plans=TRANSCODE, twin="wav_pcm16"),
    Case("webm", "a.webm", coded("-c:a", "libopus", "-b:a", "24k", rate=16_000), ("clean",), "webm opus",
         plans=TRANSCODE),
    Case("amr", "a.amr", coded("-c:a", "libopencore_amrnb", "-b:a", "12.2k"), ("clean",),
         "amr amrnb|amr amr_nb", plans=TRANSCODE),
    Case("aiff", "a.aiff", coded("-c:a", "pcm_s16be"), ("clean",), "aiff pcm_s16be", plans=CLEANED,
         twin="wav_pcm16"),
    Case("ogg_flac", "a.ogg", coded("-c:a", "flac"), ("clean",), "ogg flac", plans=TRANSCODE,
         twin="wav_pcm16"),
    Case("ogg_speex", "a.spx", coded("-c:a", "libspeex", "-f", "ogg", ffmpeg=DEBIAN["ffmpeg"]), ("clean",),
         "ogg speex", plans=TRANSCODE, needs=("ffmpeg",), may=("extension_mismatch",)),
    Case("ogg_two_in_one", "a.ogg", changed(coded("-c:a", "libvorbis", rate=16_000), twice), ("19",),
         "ogg vorbis", 20.0, plans=TRANSCODE, may=("concatenated", "header_duration")),
    Case("amr_in_3gp", "a.3gp", coded("-c:a", "libopencore_amrnb", "-b:a", "12.2k"), ("clean",),
         "mp4 amrnb|mp4 amr_nb", plans=TRANSCODE),
    Case("au", "a.au", coded("-c:a", "pcm_mulaw"), ("clean",), "au pcm_mulaw", plans=TRANSCODE),
    Case("caf", "a.caf", coded("-c:a", "pcm_alaw"), ("clean",), "caf pcm_alaw", plans=TRANSCODE),
    Case("w64", "a.w64", coded(), ("clean",), "w64 pcm_s16le", plans=CLEANED, twin="wav_pcm16"),
    Case("wma", "a.wma", coded("-c:a", "wmav2", rate=16_000), ("clean",), "asf wmav2", plans=TRANSCODE),
    Case("m4a_in_pieces", "a.m4a", coded("-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov"), ("clean",),
         "m4a aac", 10.1, plans=TRANSCODE, length=False),  # ffmpeg plays the padding of the last packet too
    Case("flac_of_hours_of_nothing", "a.flac", nothing,
         ("22", "30"), "flac flac", 7200.0, judged=("silent",), may=("mostly_silence",
         "long_silence"), plans=ANY, length=False),
    Case("m4a_cut_streamable", "a.m4a", changed(coded("-c:a", "aac", "-movflags", "+faststart"), cut(0.5)),
         ("18",), "m4a aac", 4.5, findings=("shorter_than_header",), may=("header_duration",
         "decode_errors"), plans=REJECT),
    Case("m4a_cut", "a.m4a", changed(coded("-c:a", "aac"), cut(0.9)), ("18",),
         code="decode_failed|no_audio_stream|no_audio|not_audio"),
    Case("flac_cut", "a.flac", changed(coded("-c:a", "flac"), cut(0.5)), ("18",), "flac flac", 4.4,
         findings=("shorter_than_header",), may=("header_duration", "decode_errors"), plans=REJECT),
    Case("aiff_cut", "a.aiff", changed(coded("-c:a", "pcm_s16be"), cut(0.5)), ("18",), "aiff pcm_s16be", 5.0,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("webm_cut", "a.webm", changed(coded("-c:a", "libopus", "-b:a", "24k", rate=16_000), cut(0.5)),
         ("18",), "webm opus", 4.7, findings=("shorter_than_header|header_duration",),
         may=("shorter_than_header", "header_duration", "decode_errors")),
    Case("ogg_cut", "a.ogg", changed(coded("-c:a", "libvorbis", rate=16_000), cut(0.5)), ("18",),
         "ogg vorbis", 4.1, may=("shorter_than_header", "header_duration", "decode_errors")),
    Case("flac_damaged", "a.flac", changed(coded("-c:a", "flac"), damaged), ("18",), "flac flac", 9.7,
         findings=("decode_errors|header_duration|shorter_than_header",), may=("header_duration",),
         length=False),
    Case("mp4_video_only", "a.mp4", lambda path: encode(path, honest(voice(3)), *VIDEO, "-map", "1:v"),
         ("4a: mp4 without audio", "30"), code="no_audio_stream"),
    Case("webm_video_only", "a.webm",
         lambda path: encode(path, honest(voice(3)), *VIDEO[:-1], "libvpx", "-map", "1:v"), ("30",),
         code="no_audio_stream"),
    Case("mp4_with_video", "a.mp4", lambda path: encode(path, honest(voice(SECONDS)), *VIDEO, "-map", "0:a",
         "-map", "1:v", "-c:a", "aac"), ("30",), "mp4 aac", findings=("video_stream",), plans=TRANSCODE),
    Case("mp4_two_tracks", "a.mp4", lambda path: two_tracks(path, "-c:a", "aac"), ("30",), "mp4 aac",
         findings=("extra_audio_stream",), plans=TRANSCODE),
    Case("m4a_encrypted", "a.mp4", encrypted, ("30",), code="encrypted"),
]  # fmt: skip

RAW = [
    Case("raw_ulaw", "a.ulaw", put(lambda: headerless("mulaw")), ("27",), "raw pcm_mulaw",
         findings=("raw_format_assumed",), plans=TRANSCODE, before=("-f", "mulaw", "-ar", "8000")),
    Case("raw_alaw", "a.alaw", put(lambda: headerless("alaw")), ("27",), "raw pcm_alaw",
         findings=("raw_format_assumed",), plans=TRANSCODE, before=("-f", "alaw", "-ar", "8000")),
    Case("raw_sln", "a.sln", put(speech), ("27",), "raw pcm_s16le", findings=("raw_format_assumed",),
         plans=CLEANED, before=("-f", "s16le", "-ar", "8000"), twin="wav_pcm16"),
    Case("raw_sln16", "a.sln16", put(lambda: honest(voice(SECONDS, 16_000))[44:]), ("27",), "raw pcm_s16le",
         findings=("raw_format_assumed",), plans=CLEANED, before=("-f", "s16le", "-ar", "16000")),
    Case("raw_g722", "a.g722", coded("-c:a", "g722", "-f", "g722", rate=16_000), ("27",),
         "raw adpcm_g722|raw g722", findings=("raw_format_assumed",), plans=TRANSCODE, before=("-f", "g722")),
    Case("raw_gsm", "a.gsm", coded("-c:a", "libgsm", "-f", "gsm", ffmpeg=DEBIAN["ffmpeg"]), ("27",),
         "raw gsm", findings=("raw_format_assumed",), plans=TRANSCODE, before=("-f", "gsm"),
         needs=("ffmpeg",)),
    Case("raw_said_to_be_sln", "a.dat", put(speech), ("27",), "raw pcm_s16le", raw_format="sln",
         plans=CLEANED, may=("raw_format_assumed",), before=("-f", "s16le", "-ar", "8000"), twin="wav_pcm16"),
    Case("raw_by_asterisks_name", "a.raw", put(speech), ("27",), "raw pcm_s16le",
         findings=("raw_format_assumed",), plans=CLEANED, before=("-f", "s16le", "-ar", "8000"),
         twin="wav_pcm16"),
    Case("raw_of_unknown_kind", "a.dat", put(speech), ("27",), code="not_audio"),
    Case("raw_named_wav", "a.wav", put(speech), ("27",), code="not_audio"),
    Case("raw_named_wav_said_to_be_ulaw", "a.wav", put(lambda: headerless("mulaw")), ("27",), "raw pcm_mulaw",
         raw_format="ulaw", may=("raw_format_assumed", "extension_mismatch"), plans=TRANSCODE,
         before=("-f", "mulaw", "-ar", "8000")),
    Case("raw_empty", "a.ulaw", put(b""), ("28",), code="empty_file"),
    Case("raw_that_is_a_page", "a.ulaw", put(b'{"error": "expired", "status": 410}'), ("28",),
         code="error_page"),
    Case("wav_named_ulaw", "a.ulaw", put(lambda: honest(voice(SECONDS))), ("16", "27"), "wav pcm_s16le",
         findings=("extension_mismatch",), plans=SENT, twin="wav_pcm16"),
    *(Case(f"real_{suffix}", f"a.{suffix}", real(language, suffix), ("27",), f"raw {codec}", 0.0,
           findings=("raw_format_assumed",), plans=TRANSCODE, before=before, needs=(language,),
           may=("dc_offset",))
      for language, suffix, codec, before in (
          ("italian", "alaw", "pcm_alaw", ("-f", "alaw", "-ar", "8000")),
          ("english", "gsm", "gsm", ("-f", "gsm")),
          ("english", "g722", "adpcm_g722|raw g722", ("-f", "g722")))),
]  # fmt: skip

CASES = [*MPEG, *NAMES, *CONTAINERS, *RAW]
