#!/usr/bin/env bash
# Build both cores on a machine with a CUDA device, compare gsplat with the reference, and time it.
#
#   benchmarks/h200.sh WHEELS OUT
#
# WHEELS  folder of wheels that the machine's Python lacks (docs/benchmarks.md lists them), or -
# OUT     folder for results; made where it is missing
#
# Needs Python 3.11 or 3.12 with a CUDA torch, nvcc, ninja, cmake and a C++ compiler. Neither
# MediaPipe nor cv2. About four minutes on sixteen cores.
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=$1
out=$2
mkdir -p "$out" build
export OMP_WAIT_POLICY=PASSIVE PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
PYTHON=${PYTHON:-python3}
# torch takes the folder above nvcc, which is no toolkit where nvcc is a wrapper.
if [ -z "${CUDA_HOME:-}" ] && [ -d /usr/local/cuda ]; then export CUDA_HOME=/usr/local/cuda; fi

if [ "$wheels" != - ]; then
  # Unpacked, not installed: nothing of the machine's own packages is touched.
  for wheel in "$wheels"/*.whl; do "$PYTHON" -m zipfile -e "$wheel" build/wheels; done
  export PYTHONPATH="$PYTHONPATH:$PWD/build/wheels"
fi
persona() { "$PYTHON" -m persona "$@"; }

echo "== the machine"
"$PYTHON" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name(), torch.cuda.device_count())'

echo "== the C++ core, and gsplat beside it"
(
  cmake -S . -B build/native -G Ninja -DCMAKE_BUILD_TYPE=Release
  cmake --build build/native
) >"$out/native_build.log" 2>&1 &
native=$!
"$PYTHON" - <<'PY' 2>&1 | tee "$out/gsplat_build.log" | tail -5
from persona.kernels.gsplat_build import build_gsplat

print(f"gsplat was compiled in {build_gsplat():.0f} s")
PY
wait "$native" || { tail -30 "$out/native_build.log"; exit 1; }

echo "== doctor"
# Doctor misses MediaPipe here and says so by its exit code; the tests below decide.
persona doctor >"$out/doctor.txt" 2>&1 || echo "doctor: $? (see doctor.txt)"
grep -E "torch|CUDA|native|gsplat|triton" "$out/doctor.txt"

echo "== gsplat and Triton against the reference"
failed=0
# Other versions of torch and numpy than the pinned ones may warn.
PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$PYTHON" -m pytest tests/kernels/test_gsplat.py tests/kernels/test_triton.py \
  -q -p no:cacheprovider \
  -o addopts="--import-mode=importlib" -o filterwarnings=default \
  >"$out/tests.txt" 2>&1 || failed=1
grep -vE "^[0-9.]+s (call|setup)" "$out/tests.txt" | tail -60

echo "== times"
{
  persona bench raster --devices cuda --gaussians 167000 --size 1024 --channels 3 16 --rounds 50
  persona bench raster --devices cuda --gaussians 54848 --size 512 --channels 3 12 16 --rounds 50
  persona bench animate --devices cuda --gaussians 167000 --size 1024 --rounds 100
  persona bench train --devices cuda --gaussians 54848 167000 --size 512 --rounds 50
} 2>&1 | tee "$out/bench.txt"

echo "== where a frame and a step go"
"$PYTHON" benchmarks/frame_profile.py 167000 1024 >"$out/frame_profile.txt" 2>&1 || failed=1
cat "$out/frame_profile.txt"
exit "$failed"
