#!/bin/sh
# Runs inside the emulated machine: boots a cluster, starts a pod, destroys the cluster, and checks that nothing remains.
# xtask shows the output between the two markers. The emulation is about fifty times slower than a real machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export KUBERNIX_BOOT_TIMEOUT=900 KUBERNIX_INSTALL=false

seconds() { cut -d. -f1 /proc/uptime; }

# check NAME COMMAND...: runs the command, and prints its result and duration.
check() {
    name=$1 begun=$(seconds)
    shift
    if "$@"; then
        echo "PASSED: $name ($(($(seconds) - begun)) s)"
    else
        echo "FAILED: $name (exit code $?, $(($(seconds) - begun)) s)"
        return 1
    fi
}

kubectl() { kubernix kubectl -- "$@"; }

cgroup_v2() { [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; }

systemd_is_first() { [ "$(cat /proc/1/comm)" = systemd ]; }

run_pod() {
    image=$(kubernix image list --output json | grep -o '[^"]*/pause:[^"]*' | head -n 1)
    [ -n "$image" ] || { echo "the cluster has no pause image"; return 1; }
    kubectl run first --image="$image" --image-pull-policy=Never &&
        kubectl wait --for=condition=Ready pod/first --timeout=240s
}

controllers() { find /sys/fs/cgroup/cgroup.subtree_control /sys/fs/cgroup/kubernix/cgroup.subtree_control -exec cat {} +; }

# The end of the last cluster disables the cgroup controllers. These clusters aren't the last, and start and end at the same
# time. Each has only a datastore, which is enough for cgroups of its own.
concurrent_clusters() {
    controllers >/run/controllers
    empty=""
    for role in apiserver apiserver-port controller-manager scheduler cri kubelet node proxy; do
        empty="$empty --set $role=none"
    done
    for one in a b c; do
        # shellcheck disable=SC2086 # words
        { kubernix up --quiet --name $one $empty && kubernix down --quiet --name $one && touch /run/ended-$one; } &
    done
    wait
    [ -e /run/ended-a ] && [ -e /run/ended-b ] && [ -e /run/ended-c ] || return 1
    controllers | diff /run/controllers - && kubectl wait --for=condition=Ready node --all --timeout=60s
}

# Lists processes, mounts, interfaces, addresses, rules and cgroups, without kernel threads (children of 2) and systemd's
# helpers, which start and end at any time.
list_state() {
    ps -e -o ppid= -o comm= | awk '$1 != 2 && $2 !~ /^(ps|awk|sort|sh|kubernix-vm|systemd|\(|agetty|kthreadd)/ { print "process", $2 }' | sort -u
    awk '{ print "mount", $5, $9 }' /proc/self/mountinfo | sort
    ip -o link | awk '{ print "link", $2 }'
    ip -o address | awk '{ print "address", $2, $4 }'
    ip route | sed 's/^/route /'
    nft list ruleset | sed 's/^/rule /'
    sed 's/^/controllers of all /' /sys/fs/cgroup/cgroup.subtree_control
    find /sys/fs/cgroup -type d | grep -v -e '\.service' -e '\.scope' -e '\.mount' -e '\.socket' -e '\.slice' | sort | sed 's/^/cgroup /'
}

# The kernel removes network namespaces asynchronously, which is slow here.
nothing_remains() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        list_state >/run/after
        if diff /run/before /run/after >/run/diff; then return 0; fi
        sleep 1
    done
    sed 's/^/  /' /run/diff
    return 1
}

print_details() {
    kubernix status
    kubectl get nodes,pods --all-namespaces -o wide
    kubectl get events --all-namespaces --sort-by=.lastTimestamp | tail -n 15
    find /var/lib/kubernix -name '*.log' | while read -r log; do
        echo "---- the end of $log"
        tail -n 15 "$log" | cut -c 1-300
    done
}

echo "=====BEGIN====="
echo "Linux $(uname -r), $(systemctl --version | head -n 1), up for $(seconds) s"
list_state >/run/before
check "systemd is the first process" systemd_is_first
check "cgroup v2 is the only hierarchy" cgroup_v2
if check "kubernix up" kubernix up --quiet; then
    check "the node is Ready" kubectl wait --for=condition=Ready node --all --timeout=60s
    kubectl get nodes -o wide
    check "a pod runs" run_pod || print_details
    kubectl get pods -o wide
    check "clusters that start and end at the same time keep its controllers enabled" concurrent_clusters
    kubernix status
    kubernix timeline
else
    print_details
fi
check "kubernix down" kubernix down --quiet
check "nothing remains" nothing_remains
check "its root directory is removed" [ ! -e /var/lib/kubernix/kubernix ]
echo "=====END====="
systemctl --no-block poweroff
