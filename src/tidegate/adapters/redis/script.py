"""The arithmetic of `live/tallies.py` in Lua, for one atomic step inside Redis. The time is the server's.

Lua's numbers are doubles: amounts stay below 2^53, which a cap of nine million dollars in nano-dollars does. Whole
numbers are printed with %.0f, since Redis would cut a large one.
"""

__all__ = ["EXCHANGE", "REBUILD"]

EXCHANGE = """
local epoch, gateways = KEYS[1], KEYS[2]
local born = redis.call('GET', epoch)
if not born then return redis.error_reply('LOST') end
if ARGV[4] ~= '' and ARGV[4] ~= born then return {born, ''} end
local me, seq = ARGV[1], ARGV[2]
local last = redis.call('HGET', gateways, me)
if last then
  local known, answer = string.match(last, '^(%d+) (.*)$')
  if known == seq then return {born, answer} end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local whole = function(number) return string.format('%.0f', number) end
local expiring = KEYS[3]
for _, window in ipairs(redis.call('SMEMBERS', expiring)) do
  local mine = redis.call('HGET', window, 'lives:' .. me)
  if mine and tonumber(mine) > now then
    redis.call('HSET', window, 'lives:' .. me, whole(now + tonumber(redis.call('HGET', window, 'expires'))))
  end
end
local answers = {}
local lines = cjson.decode(ARGV[3])
for index, line in ipairs(lines) do
  local window = KEYS[3 + index]
  local held = tonumber(redis.call('HGET', window, 'held:' .. me) or '0')
  local expires = line.expires_ms
  if expires > 0 then
    local lives = tonumber(redis.call('HGET', window, 'lives:' .. me) or '0')
    if lives > 0 and lives <= now then held = 0 end
    redis.call('HSET', window, 'lives:' .. me, whole(now + expires), 'expires', whole(expires))
    redis.call('SADD', expiring, window)
  end
  local settled = tonumber(redis.call('HGET', window, 'settled') or '0') + line.settled
  held = math.max(0, held - line.settled - line.returned)
  local cap = tonumber(redis.call('HGET', window, 'cap') or '0')
  local generation = tonumber(redis.call('HGET', window, 'generation') or '-1')
  if line.generation >= generation then generation, cap = line.generation, line.cap end
  local others = 0
  local fields = redis.call('HGETALL', window)
  local lives = {}
  for place = 1, #fields, 2 do
    local name = fields[place]
    if string.sub(name, 1, 6) == 'lives:' then lives[string.sub(name, 7)] = tonumber(fields[place + 1]) end
  end
  for place = 1, #fields, 2 do
    local name = fields[place]
    if string.sub(name, 1, 5) == 'held:' then
      local who = string.sub(name, 6)
      if who ~= me and (not lives[who] or lives[who] > now) then others = others + tonumber(fields[place + 1]) end
    end
  end
  local granted = 0
  if line.wanted > 0 then
    local room = cap - settled - held - others
    if room >= math.max(line.least, 1) then granted = math.min(line.wanted, room) end
  end
  held = held + granted
  redis.call('HSET', window, 'held:' .. me, whole(held), 'settled', whole(settled), 'cap', whole(cap),
    'generation', whole(generation), 'ends_at_ms', whole(line.ends_at_ms), 'name', line.name)
  redis.call('PEXPIREAT', window, whole(math.min(line.ends_at_ms + 3456000000, 253402300799999)))
  redis.call('ZADD', KEYS[#KEYS], whole(line.ends_at_ms), window)
  answers[#answers + 1] = {whole(granted), whole(settled), whole(held + others), whole(cap), others > 0}
end
redis.call('ZREMRANGEBYSCORE', KEYS[#KEYS], '-inf', whole(now - 3456000000))
local answer = #answers > 0 and cjson.encode(answers) or '[]'
redis.call('HSET', gateways, me, seq .. ' ' .. answer)
return {born, answer}
"""

REBUILD = """
local window = KEYS[1]
local settled = math.max(tonumber(redis.call('HGET', window, 'settled') or '0'), tonumber(ARGV[1]))
redis.call('HSET', window, 'settled', string.format('%.0f', settled), 'ends_at_ms', ARGV[2], 'name', ARGV[3])
redis.call('HSETNX', window, 'cap', ARGV[4])
redis.call('HSETNX', window, 'generation', '0')
redis.call('PEXPIREAT', window, string.format('%.0f', math.min(tonumber(ARGV[2]) + 3456000000, 253402300799999)))
redis.call('ZADD', KEYS[2], ARGV[2], window)
return 1
"""
