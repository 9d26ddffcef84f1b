#!/usr/bin/env bash
# Installs a wheel into an empty environment and uses it far from the checkout: the README's Python, then a run on the songs
# that are in the wheel, with options and with a config of one's own.
#   tests/wheel.sh CONSTRAINTS WHEEL
set -euo pipefail
constraints=$(realpath "$1") wheel=$(realpath "$2") readme=$(realpath "$(dirname "$0")/../README.md")
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
unset PYTHONPATH
"${PYTHON:-python3}" -m venv environment
python=$PWD/environment/bin/python
"$python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$wheel"
sed -n '/^```python$/,/^```$/{/^```/d;p}' "$readme" > readme.py
test -s readme.py
"$python" readme.py
small=(--training.steps 20 --model.hidden_size 16 --sampling.length 40 --run.platform cpu)
"$python" -m rnnjax.train "${small[@]}" --run.name options
"$python" -m rnnjax.train "${small[@]}" --run.name config --print_config > mine.yaml
"$python" -m rnnjax.train --config mine.yaml
"$python" -m rnnjax.sample --run runs/config --length 40
echo "the wheel works"
