package data

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
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
	bands, transform := melTriangles(rate, size), fourier.NewFFT(size)
	var frames [][]float32
	x := make([]float64, size)
	for at := 0; at+window <= len(samples); at += hop {
		for i, w := range hann {
			x[i] = w * samples[at+i]
		}
		spectrum := transform.Coefficients(nil, x)
		var logs [melBands]float64
		for b, band := range bands {
			sum := 0.0
			for k, w := range band {
				sum += w * (real(spectrum[k])*real(spectrum[k]) + imag(spectrum[k])*imag(spectrum[k]))
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
