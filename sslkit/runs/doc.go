// Package runs turns requests into records: a sslkit.Config that has been run is never run again, a killed run goes on where
// it was, and two processes that ask for the same run get one. What is measured of a run is kept beside it, see [Once].
//
// Everything that is read back is verified: it is right, made again, or refused with an error that says what to do.
package runs
