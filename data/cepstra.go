package data

import (
	"fmt"
	"math"
)

// Cepstra describes a sound of one channel as so many numbers every 20 ms: mel-frequency cepstral coefficients (Davis & Mermelstein
// 1980, "Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously Spoken Sentences"), the first
// of them loudness. Each frame sees 32 ms, through a Hann window; its power spectrum is gathered by 26 triangles, evenly spaced on
// the mel scale 2595 log10(1 + f/700) from 0 to half the rate, whose logarithms have an orthonormal DCT-II. A sound below one
// frame is none.
//
// Samples are in [-1, 1], rate a second, from 2,000 to 192,000; coefficients are 1 to 26.
func Cepstra(samples []float64, rate, coefficients int) ([][]float32, error) {
	if rate < 2000 || rate > 192000 || coefficients < 1 || coefficients > melBands {
		return nil, fmt.Errorf("data: %d cepstra of a sound of %d samples a second: choose 1 to %d, of 2000 to 192000", coefficients, rate, melBands)
	}
	window, hop := rate*32/1000, rate*20/1000
	size := 1
	for size < window {
		size *= 2
	}
	hann := make([]float64, window)
	for i := range hann {
		hann[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(window))
	}
	bands := melTriangles(rate, size)
	var frames [][]float32
	for at := 0; at+window <= len(samples); at += hop {
		x := make([]complex128, size)
		for i, w := range hann {
			x[i] = complex(w*samples[at+i], 0)
		}
		fft(x)
		var logs [melBands]float64
		for b, band := range bands {
			sum := 0.0
			for k, w := range band {
				sum += w * (real(x[k])*real(x[k]) + imag(x[k])*imag(x[k]))
			}
			logs[b] = math.Log(sum + 1e-10) // silence
		}
		frame := make([]float32, coefficients)
		for c := range frame {
			sum := 0.0
			for b, v := range logs {
				sum += v * math.Cos(math.Pi*float64(c)*(float64(b)+0.5)/melBands)
			}
			norm := math.Sqrt(2. / melBands)
			if c == 0 {
				norm = math.Sqrt(1. / melBands)
			}
			frame[c] = float32(norm * sum)
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

const melBands = 26

// melTriangles are the weights of the bands on the bins of a spectrum of size samples.
func melTriangles(rate, size int) [][]float64 {
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	hertz := func(m float64) float64 { return 700 * (math.Pow(10, m/2595) - 1) }
	edge := func(i int) float64 { return hertz(mel(float64(rate)/2) * float64(i) / (melBands + 1)) }
	bands := make([][]float64, melBands)
	for b := range bands {
		low, mid, high := edge(b), edge(b+1), edge(b+2)
		bands[b] = make([]float64, size/2+1)
		for k := range bands[b] {
			f := float64(k) * float64(rate) / float64(size)
			bands[b][k] = max(0, min((f-low)/(mid-low), (high-f)/(high-mid)))
		}
	}
	return bands
}

// fft replaces x, whose length is a power of two, by its discrete Fourier transform (Cooley & Tukey 1965).
func fft(x []complex128) {
	n := len(x)
	if n == 1 {
		return
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range even {
		even[i], odd[i] = x[2*i], x[2*i+1]
	}
	fft(even)
	fft(odd)
	for k := range even {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		t := complex(cos, sin) * odd[k]
		x[k], x[k+n/2] = even[k]+t, even[k]-t
	}
}
