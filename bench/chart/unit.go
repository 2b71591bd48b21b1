// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"math"
	"strconv"
)

// Unit is what a value counts. Its text is what the results' JSON says.
type Unit string

// The units there are.
const (
	Seconds        Unit = "s"
	Bytes          Unit = "B"
	PerSecond      Unit = "1/s"
	BytesPerSecond Unit = "B/s"
	Requests       Unit = "requests"
)

// Format writes a value with two or three digits and a unit that suits its size: 4.6 ms,
// 31 MiB, 530/s.
func (u Unit) Format(v float64) string {
	if v == 0 {
		return "0"
	}
	switch u {
	case Seconds:
		switch {
		case v >= 1:
			return digits(v) + " s"
		case v >= 1e-3:
			return digits(v*1e3) + " ms"
		}
		return digits(v*1e6) + " µs"
	case Bytes, BytesPerSecond:
		per := ""
		if u == BytesPerSecond {
			per = "/s"
		}
		for _, prefix := range []string{"B", "KiB", "MiB"} {
			if v < 1024 {
				return digits(v) + " " + prefix + per
			}
			v /= 1024
		}
		return digits(v) + " GiB" + per
	case PerSecond:
		return Number(v) + "/s"
	case Requests:
	}
	return Number(v)
}

// base is what round numbers of the unit are multiples of.
func (u Unit) base() float64 {
	if u == Bytes || u == BytesPerSecond {
		return 1 << 20
	}
	return 1
}

// Number writes a number for people: two or three digits, thousands apart.
func Number(v float64) string {
	if v < 1000 {
		return digits(v)
	}
	text := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func digits(v float64) string {
	switch {
	case v != 0 && v < 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 10 && v != math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
