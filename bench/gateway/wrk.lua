-- A hundred clients in turn, each with its API key and, where the run has tokens, its own token. The requests are made
-- once, so that wrk spends its time on sending.

local requests, next_one = {}, 0

function init(args)
   local tokens = args[1] and io.open(args[1])
   for number = 1, 100 do
      local headers = { ["x-api-key"] = "partner-" .. number }
      if tokens then headers["authorization"] = "Bearer " .. tokens:read("l") end
      requests[number] = wrk.format("GET", "/orders", headers)
   end
end

function request()
   next_one = next_one % 100 + 1
   return requests[next_one]
end

-- Figures as one line of JSON. Anything but a 2xx is an error: nothing here is to be refused.
function done(summary, latency)
   local errors = summary.errors
   print(string.format('{"requests":%d,"seconds":%f,"p50_us":%d,"p99_us":%d,"errors":%d}',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
