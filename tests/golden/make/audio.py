"""Makes tests/golden/audio: one tiny file of each sound format, and what independent decoders read from it.

Needs numpy, soundfile (libsndfile 1.2), and on the path sox 14.4 (with all formats), flac 1.4, ffmpeg 5.1, lame 3.100, opus-tools 0.2.
Usage: python tests/golden/make/audio.py tests/golden/audio

<name>.<ext> is the file, <name>.f32 its expected mono mix at its own rate, raw little-endian float32; expected.json lists both with the
decoder that gave the expectation. Lossless files are decoded by libsndfile (float64, mean over channels, rounded once to float32);
MP3 and Vorbis by ffmpeg (libavcodec), which shares no code with mpg123 and libvorbis; Opus by opusdec, because libavcodec's own decoder
resamples the speech mode otherwise.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
for old in os.listdir(out):
    os.remove(os.path.join(out, old))
tmp = tempfile.mkdtemp()
expected = []
# One .f32 serves all files with the same samples.
contents = {}


def signal(rate, seconds, channels, seed=1):
    """Three gliding tones and a little noise, another phase in each channel; peaks at +-0.9 and both ends of the scale."""
    random = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    columns = []
    for c in range(channels):
        x = 0.4 * np.sin(2 * np.pi * (200 + 300 * t) * t + c) + 0.3 * np.sin(2 * np.pi * 910 * t + 2 * c) + 0.1 * np.sin(2 * np.pi * rate / 5 * t)
        x += 0.05 * random.standard_normal(len(t))
        columns.append(x)
    x = np.clip(np.stack(columns, 1), -1, 1)
    x[10], x[11], x[12] = -1, 1, 0
    return x


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def path(name):
    return os.path.join(out, name)


def record(file, encoding, fmt, decoder, tolerance, samples=None, rate=None, channels=None, frames='known'):
    if samples is None:
        if decoder == 'libsndfile':
            data, rate = soundfile.read(path(file), dtype='float64', always_2d=True)
        else:
            info = soundfile.info(path(file))
            rate, channels = rate or info.samplerate, channels or info.channels
            command = ['opusdec', '--quiet', '--float', '--rate', '48000', path(file), '-'] if decoder == 'opusdec' else ['ffmpeg', '-v', 'error', '-i', path(file), '-f', 'f32le', '-']
            raw = subprocess.run(command, check=True, capture_output=True).stdout
            data = np.frombuffer(raw, '<f4').reshape(-1, channels).astype('f8')
            if fmt == 'ogg-vorbis':  # ffmpeg 5.1 keeps the padding of the last Vorbis packet, libsndfile cuts it where the last page says
                data = data[:info.frames]
        channels = data.shape[1]
        samples = data.mean(1)
    content = samples.astype('<f4').tobytes()
    name = contents.setdefault(content, file.rsplit('.', 1)[0] + '.f32')
    open(path(name), 'wb').write(content)
    expected.append(dict(file=file, expected=name, format=fmt, encoding=encoding, rate=rate, channels=channels, frames=len(samples),
                         headerFrames=len(samples) if frames == 'known' else None, decoder=decoder, minimumSnr=tolerance))


exact = None  # bit for bit
mono = signal(16000, 0.04, 1)
stereo = signal(16000, 0.04, 2)

for subtype, encoding in [('PCM_U8', 'pcm8'), ('PCM_16', 'pcm16'), ('PCM_24', 'pcm24'), ('PCM_32', 'pcm32'), ('FLOAT', 'float32'), ('DOUBLE', 'float64'), ('ULAW', 'mu-law'), ('ALAW', 'a-law')]:
    soundfile.write(path(f'{encoding}.wav'), stereo if encoding == 'pcm24' else mono, 16000, subtype=subtype, format='WAV')
    record(f'{encoding}.wav', encoding, 'wav', 'libsndfile', exact)
soundfile.write(path('extensible-6ch.wav'), signal(22050, 0.02, 6), 22050, subtype='PCM_24', format='WAVEX')
record('extensible-6ch.wav', 'pcm24', 'wav', 'libsndfile', exact)
soundfile.write(path('extensible-float.wav'), mono, 16000, subtype='FLOAT', format='WAVEX')
record('extensible-float.wav', 'float32', 'wav', 'libsndfile', exact)
# libsndfile turns short RF64 files back into RIFF; ffmpeg does not.
run('ffmpeg', '-y', '-i', path('pcm16.wav'), '-rf64', 'always', path('rf64.wav'))
assert open(path('rf64.wav'), 'rb').read(4) == b'RF64'
record('rf64.wav', 'pcm16', 'wav', 'libsndfile', exact)

riff = open(path('pcm16.wav'), 'rb').read()
body = riff[riff.index(b'data') + 8:]
fmt_chunk = b'fmt ' + struct.pack('<IHHIIHH', 16, 1, 1, 16000, 32000, 2, 16)
known = np.frombuffer(body, '<i2') / 32768


def wav(name, chunks, riff_size=None):
    content = b'WAVE' + b''.join(chunks)
    open(path(name), 'wb').write(b'RIFF' + struct.pack('<I', len(content) if riff_size is None else riff_size) + content)
    record(name, 'pcm16', 'wav', 'pcm16.wav', exact, known, 16000, 1)


odd_list = b'LIST' + struct.pack('<I', 13) + b'INFOISFT\x01\0\0\0x' + b'\0'
wav('list-before.wav', [odd_list, fmt_chunk, odd_list, b'data', struct.pack('<I', len(body)), body, odd_list])
wav('streamed-zero.wav', [fmt_chunk, b'data', struct.pack('<I', 0), body], 0)
wav('streamed-ones.wav', [fmt_chunk, b'data', struct.pack('<I', 0xFFFFFFFF), body], 0xFFFFFFFF)

for bits, subtype, data, rate in [(8, 'PCM_S8', mono, 16000), (16, 'PCM_16', stereo, 44100), (24, 'PCM_24', mono, 16000)]:
    soundfile.write(path(f'flac{bits}.flac'), data, rate, subtype=subtype, format='FLAC')
    record(f'flac{bits}.flac', f'flac{bits}', 'flac', 'libsndfile', exact)
# Constant, noisy and many small frames, behind an ID3v2 tag with a false sync code in it.
steps = np.concatenate([np.zeros(500), signal(16000, 0.05, 1)[:, 0], np.full(300, -1.0)])
soundfile.write(os.path.join(tmp, 'steps.wav'), steps, 16000, subtype='PCM_16')
run('flac', '-f', '-s', '--no-padding', '-b', '192', '-o', os.path.join(tmp, 'steps.flac'), os.path.join(tmp, 'steps.wav'))
tag = b'ID3\x04\0\0' + bytes([0, 0, 0, 40]) + b'\xff\xf8\xc9\x18' * 10
open(path('blocks192-id3.flac'), 'wb').write(tag + open(os.path.join(tmp, 'steps.flac'), 'rb').read())
record('blocks192-id3.flac', 'flac16', 'flac', 'libsndfile before encoding', exact, soundfile.read(os.path.join(tmp, 'steps.wav'))[0], 16000, 1)
run('flac', '-f', '-s', '--ogg', '--no-padding', '-o', path('flac-in-ogg.oga'), os.path.join(tmp, 'steps.wav'))
record('flac-in-ogg.oga', 'flac16', 'ogg-flac', 'libsndfile before encoding', exact, soundfile.read(os.path.join(tmp, 'steps.wav'))[0], 16000, 1)

for name, options, source in [('sphere-le.sph', ['-L'], 'pcm16.wav'), ('sphere-be.sph', ['-B'], 'pcm16.wav'), ('sphere-ulaw.sph', ['-e', 'mu-law', '-b', '8'], 'pcm16.wav')]:
    run('sox', path(source), '-t', 'sph', *options, path(name))
    record(name, 'mu-law' if 'ulaw' in name else 'pcm16', 'sphere', 'libsndfile', exact)

# Lossy decoders round differently in float32: Vorbis and Opus agree to about 135 dB, MP3 to about 119 dB.
soundfile.write(os.path.join(tmp, 'mono.wav'), signal(16000, 0.2, 1), 16000, subtype='PCM_16')
soundfile.write(os.path.join(tmp, 'short.wav'), signal(16000, 0.1, 1), 16000, subtype='PCM_16')
soundfile.write(os.path.join(tmp, 'stereo.wav'), signal(44100, 0.12, 2), 44100, subtype='PCM_16')
run('lame', '--quiet', '-b', '64', '--resample', '44.1', os.path.join(tmp, 'stereo.wav'), path('joint-stereo.mp3'))
record('joint-stereo.mp3', 'mpeg-1 layer 3', 'mp3', 'ffmpeg', 110)
run('lame', '--quiet', '-V', '6', '--resample', '16', os.path.join(tmp, 'mono.wav'), path('vbr.mp3'))
record('vbr.mp3', 'mpeg-2 layer 3', 'mp3', 'ffmpeg', 110)
run('ffmpeg', '-y', '-i', os.path.join(tmp, 'mono.wav'), '-write_xing', '0', '-id3v2_version', '4', '-metadata', 'title=x', path('no-xing.mp3'))
record('no-xing.mp3', 'mpeg-2 layer 3', 'mp3', 'ffmpeg', 110, frames='unknown')
soundfile.write(path('vorbis.ogg'), signal(16000, 0.2, 1), 16000, format='OGG', subtype='VORBIS')
record('vorbis.ogg', 'vorbis', 'ogg-vorbis', 'ffmpeg', 120)
run('ffmpeg', '-y', '-i', os.path.join(tmp, 'stereo.wav'), '-c:a', 'libvorbis', '-q:a', '1', path('vorbis-stereo.ogg'))
record('vorbis-stereo.ogg', 'vorbis', 'ogg-vorbis', 'ffmpeg', 120)
run('opusenc', '--quiet', '--bitrate', '32', os.path.join(tmp, 'short.wav'), path('opus.opus'))
record('opus.opus', 'opus', 'ogg-opus', 'opusdec', 120, rate=48000, channels=1)
run('opusenc', '--quiet', '--bitrate', '64', os.path.join(tmp, 'stereo.wav'), path('opus-stereo.opus'))
record('opus-stereo.opus', 'opus', 'ogg-opus', 'opusdec', 120, rate=48000, channels=2)

json.dump(expected, open(path('expected.json'), 'w'), indent=1)
