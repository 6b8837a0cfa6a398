"""WAV in all its dialects, and the lies of its headers."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from tests.audio.case import ANY, AS_IS, CLEANED, REJECT, REWRAP, SENT, TRANSCODE, Case, Maker, put
from tests.audio.handmade import (
    FLOAT,
    G729,
    NOBODYS,
    chunk,
    cover,
    extensible,
    fmt,
    id3v1,
    id3v2,
    rf64,
    riff,
    swapped,
    wav,
)
from tests.audio.sources import DEBIAN, RATE, STATIC, Sound, call, encode, honest, pcm16, run, voice

SECONDS = 10.0
PLAIN = "wav pcm_s16le"


def speech() -> bytes:
    """Ten seconds of 16-bit mono at 8 kHz: 160,000 bytes."""
    return pcm16(voice(SECONDS))


def coded(*arguments: object, rate: int = RATE, ffmpeg: str = STATIC) -> Maker:
    """Return a maker that lets ffmpeg write the speech."""
    return lambda path: encode(path, honest(voice(SECONDS, rate), rate), *arguments, ffmpeg=ffmpeg)


def piped(path: Path) -> None:
    """Write what ffmpeg sends down a pipe: sizes that nobody could go back and fill in."""
    source = honest(voice(SECONDS))
    path.write_bytes(run(STATIC, "-v", "error", "-f", "wav", "-i", "-", "-f", "wav", "-", stdin=source))


def headerless(form: str, sound: Sound | None = None) -> bytes:
    """Return the sound (the speech) in one of ffmpeg's headerless formats."""
    source = honest(voice(SECONDS) if sound is None else sound)
    return run(STATIC, "-v", "error", "-f", "wav", "-i", "-", "-f", form, "-", stdin=source)


def absurd(**figures: int) -> Maker:
    """Return a maker of a WAV whose format says something impossible, with audio behind it."""
    return put(lambda: wav(speech(), fmt(**figures)))


def many(channels: int) -> bytes:
    """Return as many voices."""
    return pcm16(np.concatenate([voice(SECONDS, seed=20 + n) for n in range(channels)]))


def spoilt(value: float) -> bytes:
    """Return floats among which some are no samples that anybody recorded."""
    samples = voice(SECONDS)[0].astype("<f4")
    samples[20_000:20_010] = value
    return samples.tobytes()


def noise(count: int) -> bytes:
    return random.Random(29).randbytes(count)


def asterisks_gsm(path: Path) -> None:
    """Write voice mail as Asterisk does: GSM in ``.WAV``."""
    encode(path, honest(voice(SECONDS)), "-c:a", "libgsm_ms", "-f", "wav", ffmpeg=DEBIAN["ffmpeg"])


DIALECTS = [
    Case("wav_pcm16", "a.wav", put(lambda: honest(voice(SECONDS))), ("clean",), PLAIN, plans=AS_IS),
    Case("wav_stereo", "a.wav", put(lambda: honest(call(SECONDS))), ("clean",), PLAIN, plans=AS_IS),
    Case("wav_raw_format_is_for_headerless_files_only", "a.wav", put(lambda: honest(voice(SECONDS))),
         ("27",), PLAIN, plans=AS_IS, raw_format="ulaw"),
    Case("wav_8bit", "a.wav", coded("-c:a", "pcm_u8"), ("21",), "wav pcm_u8", plans=AS_IS),
    Case("wav_24bit", "a.wav", coded("-c:a", "pcm_s24le"), ("4a: dialects", "21"), "wav pcm_s24le",
         plans=AS_IS),
    Case("wav_32bit", "a.wav", coded("-c:a", "pcm_s32le"), ("21",), "wav pcm_s32le", plans=AS_IS),
    Case("wav_float32", "a.wav", coded("-c:a", "pcm_f32le"), ("4a: dialects", "21"), "wav pcm_f32le",
         plans=AS_IS),
    *(Case(f"wav_float_with_{name}", "a.wav",
           put(lambda value=value: wav(spoilt(value), fmt(FLOAT, bits=32))), ("21",),
           "wav pcm_f32le", plans=ANY, may=("clipping", "bad_samples"))
      for name, value in (("nan", np.nan), ("infinity", np.inf), ("1e30", 1e30))),
    Case("wav_float64", "a.wav", coded("-c:a", "pcm_f64le"), ("21",), "wav pcm_f64le", plans=TRANSCODE),
    Case("wav_mulaw", "a.wav", coded("-c:a", "pcm_mulaw"), ("4a: dialects", "21"), "wav pcm_mulaw",
         plans=TRANSCODE),
    Case("wav_alaw", "a.wav", coded("-c:a", "pcm_alaw"), ("4a: dialects", "21"), "wav pcm_alaw",
         plans=TRANSCODE),
    Case("wav_extensible", "a.wav", put(lambda: wav(speech(), extensible(1, RATE, 16, 4))),
         ("4a: dialects", "21"), PLAIN, plans=AS_IS, twin="wav_pcm16"),
    Case("wav_extensible_float", "a.wav",
         put(lambda: wav(voice(SECONDS).astype("<f4").tobytes(), extensible(1, RATE, 32, 4, FLOAT))),
         ("21",), "wav pcm_f32le", plans=AS_IS),
    Case("wav_extensible_without_a_mask", "a.wav", put(lambda: wav(many(2), extensible(2, RATE, 16, 0))),
         ("21",), PLAIN, plans=AS_IS),
    Case("wav_4_channels", "a.wav", put(lambda: wav(many(4), fmt(channels=4))), ("29",), PLAIN, plans=ANY,
         may=("many_channels",)),
    Case("wav_8_channels", "a.wav", put(lambda: wav(many(8), extensible(8, RATE, 16, 0x63F))), ("29",), PLAIN,
         plans=ANY, may=("many_channels",)),
    Case("wav_12_bits_in_16", "a.wav", put(lambda: wav(speech(), fmt(bits=12, block=2))), ("21",), PLAIN,
         plans=SENT, twin="wav_pcm16"),
    Case("wav_byte_rate_0", "a.wav", put(lambda: wav(speech(), fmt(byte_rate=0))), ("21",), PLAIN, plans=SENT,
         twin="wav_pcm16"),
    Case("wav_byte_rate_of_stereo", "a.wav", put(lambda: wav(speech(), fmt(byte_rate=32_000))), ("21",),
         PLAIN, plans=SENT, twin="wav_pcm16"),
    Case("wav_fact_that_lies", "a.wav", put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"fact", b"\1\0\0\0"),
         chunk(b"data", speech()))), ("21",), PLAIN, plans=SENT, twin="wav_pcm16"),
    Case("wav_junk_and_list_first", "a.wav",
         put(lambda: riff(chunk(b"JUNK", bytes(28)), chunk(b"LIST", b"INFOISFT\x04\0\0\0test"),
                          chunk(b"fmt ", fmt()), chunk(b"data", speech()))), ("23",), PLAIN, plans=AS_IS,
         twin="wav_pcm16"),
    Case("wav_gsm", "msg0001.WAV", asterisks_gsm, ("4a: GSM 6.10", "20"), "wav gsm_ms",
         plans=TRANSCODE, needs=("ffmpeg",)),
    Case("wav_mp3", "a.wav", coded("-c:a", "libmp3lame", "-b:a", "32k", "-f", "wav"), ("4a: MP3-in-WAV",
         "20"), "wav mp3", plans=CLEANED),
    Case("wav_ima_adpcm", "a.wav", coded("-c:a", "adpcm_ima_wav"), ("4a: ADPCM and G.72x", "20"),
         "wav adpcm_ima_wav", plans=TRANSCODE),
    Case("wav_ms_adpcm", "a.wav", coded("-c:a", "adpcm_ms"), ("4a: ADPCM and G.72x", "20"), "wav adpcm_ms",
         plans=TRANSCODE),
    Case("wav_g722", "a.wav", coded("-c:a", "g722", rate=16_000), ("4a: ADPCM and G.72x", "20"),
         "wav adpcm_g722|g722", plans=TRANSCODE),
    Case("wav_g726", "a.wav", coded("-c:a", "g726", "-b:a", "32k"), ("4a: ADPCM and G.72x", "20"),
         "wav adpcm_g726|g726", plans=TRANSCODE),
    Case("wav_g723_1", "a.wav", coded("-c:a", "g723_1", "-b:a", "6300"), ("20",), "wav g723_1",
         plans=TRANSCODE),
    Case("wav_g729", "a.wav", put(lambda: wav(noise(10_000), fmt(G729, 1, RATE, 0, block=10,
         byte_rate=1000))), ("20",), "wav g729", plans=TRANSCODE, may=("tone_only", "clipping", "dc_offset",
         "quiet", "silent", "mostly_silence", "decode_errors")),
    Case("wav_codec_nobody_decodes", "a.wav",
         put(lambda: wav(noise(10_000), fmt(NOBODYS, 1, RATE, 0, block=10, byte_rate=1000))), ("20",),
         code="no_decoder"),
]  # fmt: skip

SIZES = [
    Case("wav_size_0", "a.wav", put(lambda: wav(speech(), size=0, riff_size=0)), ("4a: size 0", "17"), PLAIN,
         findings=("size_unknown_in_header",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_size_ffffffff", "a.wav", piped, ("4a: size 0xFFFFFFFF", "17"), PLAIN,
         findings=("size_unknown_in_header",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_size_7fffffff", "a.wav", put(lambda: wav(speech(), size=0x7FFFFFFF, riff_size=0x7FFFFFFF + 36)),
         ("17",), PLAIN, findings=("size_unknown_in_header",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_size_0_stereo_mulaw", "a.wav", put(lambda: wav(headerless("mulaw", call(SECONDS)), fmt(7, 2,
         RATE, 8), size=0)), ("17",), "wav pcm_mulaw", findings=("size_unknown_in_header",), plans=TRANSCODE),
    Case("wav_cut_in_half", "a.wav", put(lambda: wav(speech())[: 44 + 80_000]), ("4a: cut in half", "18"),
         PLAIN, 5.0, findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("wav_cut_in_a_sample", "a.wav", put(lambda: wav(speech())[: 44 + 80_001]), ("18",), PLAIN, 5.0,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("wav_cut_near_the_end", "a.wav", put(lambda: wav(speech())[:-8_000]), ("18",), PLAIN, 9.5,
         findings=("shorter_than_header",), may=("header_duration",), plans=REJECT),
    Case("wav_gsm_cut", "a.wav", lambda path: (asterisks_gsm(path),
         path.write_bytes(path.read_bytes()[:8_000])), ("18",), "wav gsm_ms", 4.9,
         findings=("shorter_than_header",), may=("header_duration", "decode_errors"), plans=REJECT,
         needs=("ffmpeg",)),
    Case("wav_header_only", "a.wav", put(lambda: wav(b"", size=160_000)), ("4a: header only", "28"),
         code="no_audio"),
    Case("wav_header_only_honest", "a.wav", put(lambda: wav(b"")), ("28",), code="no_audio"),
    Case("wav_of_one_sample", "a.wav", put(lambda: wav(b"\1\0", size=160_000)), ("18", "28"), PLAIN, 0.0,
         findings=("shorter_than_header",), judged=("short",), may=("header_duration", "silent"),
         plans=REJECT),
    *(Case(f"wav_cut_at_{size}", "a.wav", put(lambda size=size: wav(speech())[:size]), ("18",),
           code="no_audio|not_audio|no_audio_stream|header_absurd") for size in (12, 20, 36, 40)),
    Case("wav_grown_behind_its_header", "a.wav", put(lambda: wav(speech(), size=80_000)), ("17", "23"),
         PLAIN, 5.0, findings=("trailing_garbage", "longer_than_header"), may=("large_overhead",),
         plans=AS_IS),
]  # fmt: skip

CHUNKS = [
    Case("wav_id3_before_riff", "a.wav", put(lambda: id3v2(2_000) + wav(speech())), ("4a: ID3v2 in front",
         "23"), PLAIN, findings=("id3_before_riff",), plans=REWRAP, before=("-skip_initial_bytes", "2010"),
         twin="wav_pcm16"),
    Case("wav_cover_art_before_riff", "a.wav", put(lambda: id3v2(0, cover(300_000)) + wav(speech())), ("23",),
         PLAIN, findings=("id3_before_riff", "large_overhead"), plans=REWRAP,
         before=("-skip_initial_bytes", str(len(id3v2(0, cover(300_000))))), twin="wav_pcm16"),
    Case("rf64", "a.wav", coded("-rf64", "always"), ("4a: RF64 and RIFX", "22"), PLAIN, findings=("rf64",),
         plans=REWRAP, twin="wav_pcm16"),
    Case("bw64", "a.wav", put(lambda: rf64(speech(), b"BW64")), ("22",), PLAIN, findings=("rf64",),
         plans=REWRAP, twin="wav_pcm16"),
    Case("rf64_cut_in_half", "a.wav", put(lambda: rf64(speech())[:80_080]), ("18", "22"), PLAIN, 5.0,
         findings=("shorter_than_header",), may=("rf64", "header_duration"), plans=REJECT),
    Case("rifx", "a.wav",
         put(lambda: riff(chunk(b"fmt ", fmt(order=">"), order=">"),
                          chunk(b"data", swapped(voice(SECONDS)), order=">"), magic=b"RIFX", order=">")),
         ("4a: RF64 and RIFX", "22"), "wav pcm_s16be", plans=CLEANED, twin="wav_pcm16"),
    Case("wav_data_before_fmt", "a.wav", put(lambda: riff(chunk(b"data", speech()), chunk(b"fmt ", fmt()))),
         ("4a: data before fmt", "24"), PLAIN, findings=("data_before_fmt",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_two_data_chunks", "a.wav",
         put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"data", speech()[:80_000]),
                          chunk(b"data", speech()[80_000:]))),
         ("4a: two data chunks", "24"), PLAIN, findings=("second_data_chunk",), seconds=0.0, length=False),
    Case("wav_odd_chunk_padded", "a.wav", put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"note", b"odd"),
         chunk(b"data", speech()))), ("23",), PLAIN, plans=AS_IS, twin="wav_pcm16"),
    Case("wav_odd_chunk_unpadded", "a.wav", put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"note", b"odd",
         pad=False), chunk(b"data", speech()))), ("23",), PLAIN, may=("odd_padding",), plans=REWRAP,
         length=False, twin="wav_pcm16"),
    Case("wav_odd_data_unpadded", "a.wav",
         put(lambda: riff(chunk(b"fmt ", fmt(bits=8)), chunk(b"data", headerless("u8")[:79_999], pad=False),
                          chunk(b"LIST", b"INFO"))),
         ("23",), "wav pcm_u8", plans=(*REWRAP, *AS_IS), may=("trailing_garbage", "odd_padding")),
    Case("wav_broadcast_chunk", "a.wav",
         put(lambda: riff(chunk(b"bext", b"greeting".ljust(602, b"\0")), chunk(b"fmt ", fmt()),
                          chunk(b"data", speech()))), ("23",), PLAIN, plans=AS_IS, twin="wav_pcm16"),
    Case("wav_megabytes_of_list", "a.wav",
         put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"LIST", b"INFO" + bytes(2_000_000)),
                          chunk(b"data", speech()))),
         ("23",), PLAIN, findings=("large_overhead",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_megabytes_behind_the_data", "a.wav", put(lambda: riff(chunk(b"fmt ", fmt()), chunk(b"data",
         speech()), chunk(b"id3 ", id3v2(0, cover(900_000))))), ("23",), PLAIN, findings=("large_overhead",),
         plans=REWRAP, twin="wav_pcm16"),
    Case("wav_garbage_behind", "a.wav",
         put(lambda: wav(speech()) + b"<html><body>502 Bad Gateway</body></html>"), ("23",), PLAIN,
         findings=("trailing_garbage",), plans=REWRAP, twin="wav_pcm16"),
    Case("wav_id3v1_behind", "a.wav", put(lambda: wav(speech()) + id3v1()), ("23",), PLAIN,
         findings=("trailing_garbage",), plans=REWRAP, twin="wav_pcm16"),
]  # fmt: skip

ABSURD = [
    Case("wav_rate_0", "a.wav", absurd(rate=0), ("25",), code="header_absurd"),
    Case("wav_rate_100_mhz", "a.wav", absurd(rate=100_000_000), ("25",), code="header_absurd"),
    Case("wav_rate_4_ghz", "a.wav", absurd(rate=0xFFFFFFFF), ("25",), code="header_absurd"),
    Case("wav_rate_too_low", "a.wav", absurd(rate=3_999), ("25",), code="header_absurd"),
    Case("wav_rate_lowest", "a.wav", put(lambda: wav(pcm16(voice(SECONDS, 4_000)), fmt(rate=4_000))),
         ("25",), PLAIN, plans=ANY),
    Case("wav_0_channels", "a.wav", absurd(channels=0, block=2), ("25",), code="header_absurd"),
    Case("wav_0_channels_no_block", "a.wav", absurd(channels=0), ("25",), code="header_absurd"),
    Case("wav_9_channels", "a.wav", absurd(channels=9), ("25",), code="header_absurd"),
    Case("wav_65535_channels", "a.wav", absurd(channels=0xFFFF), ("25",), code="header_absurd"),
    Case("wav_0_bits", "a.wav", absurd(bits=0), ("25",),
         code="header_absurd|no_decoder|decode_failed|no_audio"),
    Case("wav_65535_bits", "a.wav", absurd(bits=0xFFFF), ("25",),
         code="header_absurd|no_decoder|decode_failed"),
    Case("wav_44_bytes_of_threat", "a.wav",
         put(lambda: wav(b"", fmt(channels=0xFFFF, rate=100_000_000, bits=32), size=0xFFFFFFFF)), ("25",),
         code="header_absurd|no_audio"),
    Case("wav_chunk_of_4_gib", "a.wav", put(lambda: riff(chunk(b"LIST", b"INFO", 0xFFFFFFFF), chunk(b"fmt ",
         fmt()), chunk(b"data", speech()))), ("25",),
         code="no_audio|not_audio|header_absurd|no_audio_stream|decode_failed"),
]  # fmt: skip

CASES = [*DIALECTS, *SIZES, *CHUNKS, *ABSURD]
