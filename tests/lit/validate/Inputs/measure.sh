# measure.sh FILE: npu-validate --measure-gpu with a GPU that is not there.
here=$(dirname "$0")
PATH=$here/fake:$PATH PYTHONPATH=$here/fake PYTHONDONTWRITEBYTECODE=1 \
  exec npu-validate --measure-gpu "$1" --gpu h100-sxm --measure-seconds 0.01 2>/dev/null
