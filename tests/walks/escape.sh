#!/usr/bin/env bash
# A program that means harm, in a run: over two hundred ways out, as a user and as root, with user namespaces and without
# them. Each is first tried without a sandbox. Usage: escape.sh BINARY [PYTHON]. Prints a table of ways, and closes with
# 'N refused, 0 got through'. As root it goes through all, as another user through that user's.
set -euo pipefail
here=$(cd "$(dirname "$0")/../attacks" && pwd)
# Not below /tmp: of that a run has one of its own.
scene=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$scene"' EXIT
chmod 711 "$scene"
install -m 755 "$(realpath "$1")" "$scene/authy-mcp"
install -d -m 755 "$scene/attacks"
install -m 644 "$here"/*.py "$scene/attacks"
# One that every user may start: a virtual environment of root's is not.
python=$(realpath /usr/bin/python3 2>/dev/null || realpath "$(command -v "${2:-python3}")")
columns=()
# try NAME USER WRAPPER…: the scene, by that user, below that wrapper.
try() {
  local name=$1 user=$2
  shift 2
  mkdir -m 700 "$scene/$name"
  [ "$(id -u)" = "$user" ] || chown "$user:$user" "$scene/$name"
  if "$@" "$python" "$scene/attacks/scene.py" "$scene/authy-mcp" "$python" "$scene/$name" >"$scene/$name.json" </dev/null; then
    columns+=("$name=$scene/$name.json")
  else
    echo "FAILED: $name could not be tried"
    failed=1
  fi
}
failed=0
drop=(setpriv --bounding-set=-all --inh-caps=-all)
close='echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
can_close=1
unshare -Ur true 2>/dev/null || { can_close=0; echo "note: no user namespaces here: what follows is without them"; }
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=47001 --regid=47001 --clear-groups)
  try user 47001 "${as[@]}" "${drop[@]:1}"
  [ $can_close = 0 ] || try user-closed 47001 "${as[@]}" unshare -U --map-user=47001 --map-group=47001 --keep-caps sh -c "$close" sh "${drop[@]}"
  try root 0 env
  [ $can_close = 0 ] || try root-closed 0 unshare -Ur sh -c "$close" sh
  [ $can_close = 0 ] || try root-bare 0 unshare -Ur sh -c "$close" sh "${drop[@]}"
else
  try user "$(id -u)" env
  [ $can_close = 0 ] || try user-closed "$(id -u)" unshare -U --map-user="$(id -u)" --map-group="$(id -g)" --keep-caps sh -c "$close" sh "${drop[@]}"
fi
"$python" "$scene/attacks/table.py" "${columns[@]}" || failed=1
exit $failed
