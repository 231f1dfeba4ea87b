-- Sends one prepared HTTP request over and over, each time with another unique word in the places marked @unique@.
--
--   wrk … -s unique.lua URL -- REQUEST_FILE RUN
--
-- The word has 32 hex digits: random ones first, so that keys spread as hashes do; then the number of this run of
-- wrk, the thread's and the request's, so that none is ever sent twice.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

local pieces, run, count = {}, 0, 0

local function split(text, mark)
  local from = 1
  while true do
    local first, last = text:find(mark, from, true)
    table.insert(pieces, text:sub(from, (first or 0) - 1))
    if not first then return end
    from = last + 1
  end
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  split(file:read("*a"), "@unique@")
  file:close()
  run = tonumber(args[2])
  math.randomseed(os.time() * 64 + thread_number)
end

function request()
  count = count + 1
  local spread = math.random(0, 0xffff)
  return table.concat(pieces, string.format("%04x%08x%08x%012x", spread, run, thread_number, count))
end

-- For the program that started wrk: one line, times in seconds.
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50":%.6f,"p99":%.6f,"max":%.6f,"refused":%d,"broken":%d,"timeouts":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    latency.max / 1e6, errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
