#!/bin/bash
#SBATCH --job-name=sslkit
#SBATCH --array=0-{{.Last}}{{with .AtOnce}}%{{.}}{{end}}
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output="{{.Slurm}}"
{{range .Flags}}#SBATCH {{.}}
{{end}}
# The tasks of {{.Comment}} that were not done yet, by 'sslkit submit'. A task is found by its key, so that the plan may be
# written again meanwhile; what each says is in the log of its key, what Slurm says of all in the file above.
keys=({{range .Keys}}
	{{.}}{{end}}
)
key=${keys[$SLURM_ARRAY_TASK_ID]}
exec >>{{.Logs}}/"$key.log" 2>&1
echo "--- $(date '+%F %T') job ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID on ${SLURMD_NODENAME:-$(hostname)}, start $((${SLURM_RESTART_COUNT:-0} + 1))"
{{range .Environment}}export {{.}}
{{end}}
# 120 seconds before its time ends this script gets USR1, and the task is queued again once it has saved. TERM, by scancel, reaches the task
# as well, which saves and stays ended. It must not get two, of which the second ends it at once: Slurm has been seen to send USR1 again.
signal= late= cancelled=
trap 'signal=1; [ -n "$late$cancelled" ] || kill -TERM $child; late=1' USR1
trap 'signal=1 cancelled=1' TERM
{{.Work}} --key "$key" &
child=$!
while
	signal=
	wait $child
	code=$?
	[ -n "$signal" ] # it was the signal that ended the wait
do :; done

# 1 and 2: it has said what is wrong, and would say it again. More than 128: killed, perhaps for want of memory, which may be another time
# and on another node; but not for ever.
again=$late
if [ $code -gt 128 ] && [ -z "$cancelled" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then again=1; fi
if [ $code -gt 2 ] && [ -n "$again" ]; then
	echo "--- ended with $code, and is queued again"
	scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" # the job's own number may be that of the whole array
fi
exit $code
