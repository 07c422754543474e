-- The provider took an order, or said 429 to one: what does that tell about how many it takes at once?
-- Raised by one where the limit was used up, lowered to what the provider really has, never below half at once.
-- ARGV: 2 account   3 holder   4 accepted (1) or refused (0)
-- Returns {'learned', the limit if it changed or '', predictions in flight, 0}
local SAME_MS = 1000
-- After a refusal, until one more is tried: at least so many times what the refusal cost; doubled if that is refused too.
local PAUSE_MS, LONGEST_PAUSE_MS, TIMES_THE_COST = 30000, 600000, 12
local account
for _, each in ipairs(pool.accounts) do
  if each.name == ARGV[2] then account = each end
end
if not account then return {'learned', '', 0, 0} end
local learned = key('learned', account.name)
local function of(name, otherwise)
  return tonumber(redis.call('HGET', learned, name) or otherwise)
end
local before = limit(account)
local after = before
if ARGV[4] == '1' then
  redis.call('ZADD', key('live', account.name), 0, ARGV[3])
  local sure = redis.call('HINCRBY', learned, 'sure', in_use(account) >= before and 1 or 0)
  local refused_at = of('refused_at', 0)
  if refused_at == 0 then
    -- Nobody said no yet: one more, as soon as all before it were taken, so that one order at most goes too far.
    local taken = redis.call('ZCARD', key('live', account.name))
    if sure > 0 and taken >= before then after = math.min(before + 1, account.ceiling) end
  elseif sure >= before and now > refused_at + of('pause', PAUSE_MS) then
    after = math.min(before + 1, account.ceiling)
    redis.call('HSET', learned, 'tried_at', string.format('%.0f', now))
  end
  if after > before or refused_at == 0 then redis.call('HSET', learned, 'sure', 0) end
else
  local accepted = redis.call('ZCARD', key('live', account.name))
  -- Orders that were on their way together are refused together: that is one refusal.
  local fewer = now < of('refused_at', 0) + SAME_MS and before or before - 1
  after = math.min(math.max(math.min(accepted, fewer), math.ceil(before / 2), account.floor), before)
  local tried_lately = of('tried_at', 0) > of('refused_at', 0)
  local pause = tried_lately and of('pause', PAUSE_MS) * 2 or PAUSE_MS
  pause = math.min(math.max(pause, TIMES_THE_COST * left_ms('blocked', account)), LONGEST_PAUSE_MS)
  redis.call('HSET', learned, 'refused_at', string.format('%.0f', now), 'pause', pause, 'sure', 0)
end
if after == before then return {'learned', '', redis.call('ZCARD', key('live', account.name)), 0} end
redis.call('HSET', learned, 'slots', after)
return {'learned', after, redis.call('ZCARD', key('live', account.name)), 0}
