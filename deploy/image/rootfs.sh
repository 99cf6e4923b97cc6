#!/bin/bash
# rootfs.sh PROGRAM DIRECTORY - lays out all that PROGRAM needs to run, and no more.
#
# Shared libraries as the loader finds them here, a user by number, and what tells whoever
# looks inside where the libraries are from: each package's state, as scanners read it
# (var/lib/dpkg/status.d), and its licence.
set -eu
program=$1 root=$2
mkdir -p "$root"/{usr/bin,lib64,etc,tmp,data,var/lib/dpkg/status.d}
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/data"
install -m 0755 "$program" "$root/usr/bin/pinsage"
strip --strip-debug "$root/usr/bin/pinsage"
echo 'pinsage:x:65532:65532:pinsage:/data:/usr/sbin/nologin' > "$root/etc/passwd"
echo 'pinsage:x:65532:' > "$root/etc/group"
install -D -m 0644 LICENSE "$root/usr/share/doc/pinsage/copyright"

# The package that a file is from; some are listed by the way that /usr was merged.
package_of()
{
    local file=$1
    { dpkg-query -S "$file" || dpkg-query -S "${file#/usr}" || dpkg-query -S "/usr$file"; } \
        2>/dev/null | head -n 1 | sed 's/: .*//'
}

ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p' |
    while read -r library; do
        case $library in
        /lib64/*) place=lib64 ;;
        *) place=usr/lib/$(uname -m)-linux-gnu ;;
        esac
        install -D -m 0755 "$(realpath "$library")" "$root/$place/${library##*/}"
        package=$(package_of "$(realpath "$library")")
        [ -n "$package" ] || { echo "rootfs.sh: $library is from no package" >&2; exit 1; }
        echo "$package"
    done | sort -u > /tmp/packages
while read -r package; do
    dpkg-query -s "$package" | sed '/^Conffiles:/,/^[^ ]/{/^ /d;/^Conffiles:/d}' \
        > "$root/var/lib/dpkg/status.d/${package%%:*}"
    copyright=$(realpath "/usr/share/doc/${package%%:*}/copyright")
    install -D -m 0644 "$copyright" "$root/usr/share/doc/${package%%:*}/copyright"
done < /tmp/packages
faiss=$(deploy/setup/faiss.sh --find "${FAISS:-auto}")
[ ! -f "$faiss/LICENSE" ] ||
    install -D -m 0644 "$faiss/LICENSE" "$root/usr/share/doc/faiss/copyright"
