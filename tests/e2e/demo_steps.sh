#!/bin/bash
# demo_steps.sh - the order of work of deploy/demo/demo.sh: what is skipped, redone, refused,
# and how it stops. The programs it runs are stand-ins that write down their arguments.
. tests/support/tap.sh

dir=$(mktemp -d "$BUILD/demo_steps.XXXXXX")
dir=$(cd "$dir" && pwd)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/demo"

cat > "$dir/demo/openclipart" <<'END'
#!/bin/bash
echo corpus >> "$CALLS"
mkdir -p "$2/images"
echo pin > "$2/pins.tsv"
END
cat > "$dir/pinsage" <<'END'
#!/bin/bash
echo "$1" >> "$CALLS"
[ "$1" != "$FAIL" ] || exit 1
case $1 in
import) mkdir -p "$2" && : > "$2/current" ;;
eval) echo "the table" ;;
serve) exec python3 "${0%/*}/serve.py" "$4" ;;
esac
END
cat > "$dir/serve.py" <<'END'
import http.server, json, signal, sys, threading
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/pins"): answer = {"title": "A pin"}
        elif self.path.startswith("/related"):
            answer = {"results": [{"pin": "b", "score": 0.5, "image": "b", "title": "Another pin"}]}
        else: answer = {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def log_message(self, *words): pass
host, port = sys.argv[1].split(":")
server = http.server.ThreadingHTTPServer((host, int(port)), Door)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
END
chmod +x "$dir/pinsage" "$dir/demo/openclipart"
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export PORT BUILD=$dir PINSAGE=$dir/pinsage CALLS=$dir/calls FAIL= NO_COLOR=1

demo() # runs it once, its words in said, its calls in calls
{
    : > "$CALLS"
    ONCE=1 timeout 60 deploy/demo/demo.sh > "$dir/said" 2>&1
}
calls() { paste -sd' ' "$CALLS"; }
is() { [ "$1" = "$2" ] || { echo "is:     $1"; echo "wanted: $2"; cat "$dir/said"; return 1; }; }

check "the first run does every step and ends well" demo
all=$(calls)
check "in order, the server last" \
    is "$(calls | sed 's/ .* / ... /')" "corpus ... serve"
check "it prints the table" grep -q "the table" "$dir/said"
check "it prints answers of the server" grep -q "0.500  Another pin" "$dir/said"
check "every step tells how long it took" \
    is "$(grep -c '^took [0-9.]* s$' "$dir/said")" "$(wc -w <<<"${all% serve}")"

demo
check "the second run only serves" is "$(calls)" serve
check "and prints the table all the same" grep -q "the table" "$dir/said"

rm -r "$dir/demo/catalog"
demo
check "a lost catalog is made again, the corpus is not" is "$(calls)" "${all#corpus }"

echo '# another version' >> "$dir/pinsage"
demo
check "a changed pinsage redoes all but the corpus" is "$(calls)" "${all#corpus }"
echo '# another version' >> "$dir/demo/openclipart"
demo
check "a changed corpus program redoes everything" is "$(calls)" "$all"

rm -r "$dir/demo/done"
FAIL=build
check "a failing step is an error" is "$(demo; echo $?)" 1
check "it is named" grep -q "^demo: build failed" "$dir/said"
FAIL=
demo
check "the next run begins at it" \
    is "$(calls)" "$(sed 's/.*\(build .*\)/\1/' <<<"$all")"

FAIL=serve
check "a server that ends at once is an error" is "$(demo; echo $?)" 1
check "and is said" grep -q "the server has ended" "$dir/said"
FAIL=

ONCE='' timeout 60 deploy/demo/demo.sh > "$dir/stays" 2>&1 &
stays=$!
for _ in {1..100}; do
    grep -q "Ctrl-C stops" "$dir/stays" && break
    sleep 0.1
done
check "without ONCE=1 it says where the page is" \
    grep -q "Open http://127.0.0.1:$PORT/ in a browser" "$dir/stays"
check "a busy port is an error" is "$(demo; echo $?)" 1
check "and is said, before any work" \
    grep -q "port $PORT of 127.0.0.1 is in use" "$dir/said"
kill -TERM "$(pgrep -P "$stays" | head -1)" # the script below timeout
wait "$stays"
check "stopping it stops the server and ends well" \
    is "$? $(tail -1 "$dir/stays")" "0 The server has stopped."
check "and frees the port" bash -c "! (exec 3<> /dev/tcp/127.0.0.1/$PORT) 2>/dev/null"
finish
