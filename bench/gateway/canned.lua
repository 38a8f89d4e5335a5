-- The model server of the benchmark: it answers every POST with the same completion, or with the same events.
local canned = {}
local completion, events = "", {}

local function whole(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function canned.load(folder)
  completion = whole(folder .. "/completion.json")
  for event in whole(folder .. "/events.sse"):gmatch(".-\n\n") do
    table.insert(events, event)
  end
end

local function answer_stream(pause_s)
  ngx.header["Content-Type"] = "text/event-stream; charset=utf-8"
  for i, event in ipairs(events) do
    if i > 1 and pause_s > 0 then ngx.sleep(pause_s) end
    ngx.print(event)
    ngx.flush(true)
  end
end

function canned.answer()
  ngx.req.read_body()
  if ngx.var.uri:find("^/fail/") then
    ngx.status = 500
    ngx.header["Content-Type"] = "application/json"
    ngx.print('{"error":{"message":"told to fail","type":"server_error"}}')
    return
  end
  local body = ngx.req.get_body_data() or ""
  if body:find('"stream":%s*true') then
    answer_stream((tonumber(body:match('"seed":%s*(%d+)')) or 0) / 1000)
  else
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #completion
    ngx.print(completion)
  end
end

return canned
