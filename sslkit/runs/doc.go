// Package sweep turns requests into records: a [Config] that has been run is never run again, a
// killed run goes on where it was, and two processes that ask for the same run get one. On top of
// that stand whole experiments, such as the Task Gap.
package sweep
