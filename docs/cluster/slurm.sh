#!/bin/bash
# An array of 16 processes, each of which does every 16th shard. Submit it again until it ends
# without an error: what is done is skipped.
#   sbatch docs/cluster/slurm.sh 'data/*.tar' results model.onnx
#SBATCH --job-name=lighthead-batch
#SBATCH --array=0-15
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
set -euo pipefail
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
exec lighthead batch "$1" "$2" --model "$3" --threads "$SLURM_CPUS_PER_TASK" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
