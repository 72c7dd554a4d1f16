# A disposable machine: a copy of this one, in memory, that one test may change as it likes. Nothing of it is left when the test ends.
#   machine.sh plain|systemd PROGRAM ARGUMENTS...
# The copy is an overlay over /, in namespaces of its own (mounts, processes, host name, network without any interface). `plain` runs the program as
# the copy's first process; `systemd` boots a real systemd there, in a control group of its own, which runs the program as a service.
set -eu
kind=$1
shift

case $kind in
plain)
  HOMEOSTAT_MACHINE_KIND=plain exec unshare --mount --pid --ipc --uts --net --fork --kill-child -- sh "$HOMEOSTAT_MACHINE_SCRIPT" inside "$@"
  ;;
systemd)
  # Systemd makes groups below its own: it gets one that nobody else is in.
  exec unshare --mount -- sh "$HOMEOSTAT_MACHINE_SCRIPT" in-group "$@"
  ;;
in-group)
  mount --make-rprivate /
  groups=/mnt
  mount -t cgroup2 groups "$groups"
  group=$groups/homeostat-test-$$
  mkdir "$group"
  was=$(sed -n 's/^0:://p' /proc/self/cgroup)
  echo $$ >"$group/cgroup.procs"
  ended=0
  HOMEOSTAT_MACHINE_KIND=systemd setpriv --pdeathsig KILL -- unshare --cgroup --mount --pid --ipc --uts --net --fork --kill-child -- sh "$HOMEOSTAT_MACHINE_SCRIPT" inside "$@" || ended=$?
  echo $$ >"$groups$was/cgroup.procs"
  find "$group" -depth -type d -exec rmdir {} \;
  exit $ended
  ;;
inside)
  mount --make-rprivate /
  here=/mnt
  mount -t tmpfs machine "$here"
  root=$here/root
  mkdir "$here/changes" "$here/work" "$root"
  mount -t overlay machine -o "lowerdir=/,upperdir=$here/changes,workdir=$here/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs run "$root/run"
  mount -t tmpfs tmp "$root/tmp"
  touch "$root/run/program" "$root/run/output"
  mount --bind "$1" "$root/run/program"
  shift
  ip link set lo up 2>/dev/null || true
  if [ "$HOMEOSTAT_MACHINE_KIND" = plain ]; then
    exec chroot "$root" /run/program "$@"
  fi
  mount -t cgroup2 groups "$root/sys/fs/cgroup"
  # Only what the test needs is started: the test, and what it starts itself.
  mkdir -p "$root/run/systemd/system"
  cat >"$root/run/systemd/system/test.service" <<UNIT
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
Environment=$HOMEOSTAT_MACHINE_ENVIRONMENT
ExecStart=/run/program $*
StandardOutput=truncate:/run/output
StandardError=inherit
UNIT
  mount --bind "$HOMEOSTAT_MACHINE_OUTPUT" "$root/run/output"
  exec chroot "$root" env -i container=homeostat PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=test.service --log-target=console --log-level=warning --show-status=no systemd.unified_cgroup_hierarchy=1
  ;;
esac
