"""Writes the files beside it, with librosa 0.11.0, numpy 2.4.6 and soundfile 0.14.0 (libsndfile 1.2.2):

    python -m venv /tmp/v && /tmp/v/bin/pip install librosa==0.11.0 numpy==2.4.6 soundfile==0.14.0 && /tmp/v/bin/python make.py
"""
import json

import librosa
import numpy as np
import soundfile

tones = []
for rate, n in ((8000, 1000), (16000, 1400), (22050, 2000), (44100, 3000)):
    window, hop = rate * 32 // 1000, rate * 20 // 1000
    size = 1 << (window - 1).bit_length()
    t = np.arange(n) / rate
    y = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.cos(2 * np.pi * 1900 * t + 1) + 0.02 * np.sin(2 * np.pi * (300 * t + 8000 * t * t))
    left = (size - window) // 2
    y = np.concatenate([np.zeros(left), y, np.zeros(size - window - left)])

    def logmel(bands):
        return np.log(1e-10 + librosa.feature.melspectrogram(
            y=y, sr=rate, n_fft=size, win_length=window, hop_length=hop, window="hann", center=False,
            power=2.0, n_mels=bands, fmin=0, fmax=rate / 2, htk=True, norm=None, dtype=np.float64))

    cepstra = librosa.feature.mfcc(S=logmel(26), n_mfcc=13, dct_type=2, norm="ortho", lifter=0)
    rounded = lambda m: [[round(float(v), 5) for v in frame] for frame in m.T]
    tones.append({"rate": rate, "samples": n, "logmel": rounded(logmel(40)), "cepstra": rounded(cepstra)})
json.dump(tones, open("librosa.json", "w"), separators=(",", ":"))

y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
both = np.stack([y, -0.5 * y], 1)
for name, subtype in {"8.wav": "PCM_U8", "16.wav": "PCM_16", "24.wav": "PCM_24", "32.wav": "PCM_32", "float.wav": "FLOAT",
                      "double.wav": "DOUBLE", "mu-law.wav": "ULAW", "8.flac": "PCM_S8", "24.flac": "PCM_24"}.items():
    soundfile.write(name, y, 8000, subtype=subtype)
soundfile.write("stereo.flac", both, 8000, subtype="PCM_16")
soundfile.write("ext.wav", both, 8000, subtype="PCM_24", format="WAVEX")
