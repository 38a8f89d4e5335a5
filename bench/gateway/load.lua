-- For wrk: sends the body in the file $BENCH_BODY with the headers in the file $BENCH_HEADERS, prints one JSON line.
local function lines(name)
  local path = assert(os.getenv(name), name .. " is not set")
  return io.lines(path)
end

wrk.method = "POST"
local body = {}
for line in lines("BENCH_BODY") do body[#body + 1] = line end
wrk.body = table.concat(body, "\n")
for line in lines("BENCH_HEADERS") do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

function done(summary, latency, _)
  local failed = summary.errors
  print(string.format(
    'WRK {"requests": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    failed.status, failed.connect + failed.read + failed.write + failed.timeout))
end
