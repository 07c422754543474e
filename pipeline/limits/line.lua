-- What every script of the line shares; put before each of them.
-- KEYS: 1 the pool's prefix; all other keys are made from it, so they live on one node.
-- ARGV: 1 the pool as JSON: {lease, reserve, accounts: [{name, slots, floor, ceiling, gap, windows: [[name, requests, ms, models]]}]}
--
-- ready                 there while the leases here are all that the rows prove
-- who      asset -> owner|job|model|owner's weight|job's weight|index     of whoever waits, is reserved a slot or holds one
-- owners, jobs:OWNER    zsets of those who have somebody in line, by score; assets:JOB by index
-- shares                held:ID, passed:ID, weight:ID of owners and jobs; level, level:OWNER: where a newcomer begins
-- reserved:ACCOUNT asset -> end of the reservation;   since asset -> when the slot was taken
-- slots:ACCOUNT holder -> end of the lease;   live:ACCOUNT holders whose prediction the provider has accepted
-- blocked:ACCOUNT, used_up:ACCOUNT, unpaid:ACCOUNT (until, ms; the latter two let questions pass)   last:ACCOUNT (newest slot given)   window:ACCOUNT:NAME   learned:ACCOUNT
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local prefix = KEYS[1]
local pool = cjson.decode(ARGV[1])
local RECOVERY_MS = 60000   -- how long after a 429 slots are given one by one
local GENTLE_GAP_MS = 100   -- R15, where it serves: while recovering, or when a window is half used up
local HANDICAP = 1.5        -- turns that a job with much left gives way to one with little
local MUCH = 16             -- assets
local NEARLY_THERE = 2      -- counts for so many: whoever could hold all that he still wants at once
local AGEING = 1 / 16       -- of a turn
local PASSABLE = 16         -- scenes of a job that are looked at for one of another model
local MOST_LOOKED = 256     -- in all, so that no script takes long
local MOST_RESERVED = 64    -- a reservation lapses, so no more are made than are taken up in time

local function key(...)
  return prefix .. table.concat({...}, ':')
end

local all_slots = 0
for _, account in ipairs(pool.accounts) do all_slots = all_slots + account.slots end

local function share(what, id)
  return tonumber(redis.call('HGET', key('shares'), what .. ':' .. id) or '0')
end

local function known(asset)
  local told = redis.call('HGET', key('who'), asset)
  if not told then return nil end
  local owner, job, model, owner_weight, job_weight, index =
    string.match(told, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  return {owner = owner, job = job, model = model, owner_weight = tonumber(owner_weight),
    job_weight = tonumber(job_weight), index = index}
end

-- Fewest slots held for the weight first; among equals whoever was passed over most, and rather one with little left.
local function score(id, left)
  local weight, slots_held = math.max(share('weight', id), 1), share('held', id)
  local handicap = HANDICAP * (math.min(left, MUCH) - 1) / MUCH
  local counts = slots_held + left <= all_slots and weight * NEARLY_THERE or weight
  return slots_held * 1e10 / counts + share('passed', id) + handicap / weight
end

local function placed(parent, id, left)
  if left > 0 then
    redis.call('ZADD', parent, string.format('%.6f', score(id, left)), id)
    return
  end
  redis.call('ZREM', parent, id)
  if share('held', id) <= 0 then
    redis.call('HDEL', key('shares'), 'held:' .. id, 'weight:' .. id, 'passed:' .. id, 'level:' .. id)
  end
end

local function rescored(owner, job)
  local left = redis.call('ZCARD', key('assets', job))
  placed(key('jobs', owner), job, left)
  local jobs = redis.call('ZCARD', key('jobs', owner))
  placed(key('owners'), owner, jobs == 1 and left > 0 and left or jobs * MUCH)
end

local function held(who, change)
  redis.call('HINCRBY', key('shares'), 'held:' .. who.owner, change)
  redis.call('HINCRBY', key('shares'), 'held:' .. who.job, change)
  redis.call('HSET', key('shares'), 'weight:' .. who.owner, who.owner_weight, 'weight:' .. who.job, who.job_weight)
end

-- A newcomer begins where the others are: he has no credit from the time when he was away.
local function welcomed(id, weight, level)
  redis.call('HSET', key('shares'), 'weight:' .. id, weight)
  if share('passed', id) < level then
    redis.call('HSET', key('shares'), 'passed:' .. id, string.format('%.6f', level))
  end
end

local function lined_up(asset, who)
  local owner_is_new = redis.call('ZSCORE', key('owners'), who.owner) == false
  local job_is_new = redis.call('ZSCORE', key('jobs', who.owner), who.job) == false
  if owner_is_new then
    welcomed(who.owner, who.owner_weight, tonumber(redis.call('HGET', key('shares'), 'level') or '0'))
  end
  if job_is_new then
    welcomed(who.job, who.job_weight, share('level', who.owner))
  end
  redis.call('ZADD', key('assets', who.job), who.index, asset)
  rescored(who.owner, who.job)
end

-- The level rises a little with each slot given, so that an endless row of newcomers starves nobody.
local function risen(level, passed, weight)
  return string.format('%.6f', math.max(level, passed) + AGEING / weight)
end

local function served(who)
  local owner_passed, job_passed = share('passed', who.owner), share('passed', who.job)
  local level = tonumber(redis.call('HGET', key('shares'), 'level') or '0')
  redis.call('HSET', key('shares'),
    'level', risen(level, owner_passed, who.owner_weight),
    'level:' .. who.owner, risen(share('level', who.owner), job_passed, who.job_weight),
    'passed:' .. who.owner, string.format('%.6f', owner_passed + 1 / who.owner_weight),
    'passed:' .. who.job, string.format('%.6f', job_passed + 1 / who.job_weight))
end

-- Whose turn it is among those whose model is not held back by a window of its family.
local function first_but(held_back)
  local looked = 0
  for _, owner in ipairs(redis.call('ZRANGE', key('owners'), 0, MOST_LOOKED)) do
    for _, job in ipairs(redis.call('ZRANGE', key('jobs', owner), 0, MOST_LOOKED)) do
      for _, asset in ipairs(redis.call('ZRANGE', key('assets', job), 0, PASSABLE - 1)) do
        local who = known(asset)
        if not held_back[who.model] then return asset, who end
        looked = looked + 1
        if looked == MOST_LOOKED then return nil end
      end
    end
  end
  return nil
end

local function first()
  local owner = redis.call('ZRANGE', key('owners'), 0, 0)[1]
  if not owner then return nil end
  local job = redis.call('ZRANGE', key('jobs', owner), 0, 0)[1]
  local asset = redis.call('ZRANGE', key('assets', job), 0, 0)[1]
  return asset, known(asset)
end

local function stands(asset, who)
  return redis.call('ZSCORE', key('assets', who.job), asset) ~= false
end

-- The account where a slot is reserved for the asset.
local function reservation(asset)
  for _, account in ipairs(pool.accounts) do
    if redis.call('ZSCORE', key('reserved', account.name), asset) then return account end
  end
  return nil
end

local function unreserved(account, asset, who)
  redis.call('ZREM', key('reserved', account.name), asset)
  held(who, -1)
end

local function asset_of(holder)
  return string.match(holder, '^(.*):')
end

local function forgotten(asset, who)
  if not stands(asset, who) and not reservation(asset) then
    redis.call('HDEL', key('who'), asset)
  end
  rescored(who.owner, who.job)
end

local function let_go(account, holder)
  redis.call('ZREM', key('live', account), holder)
  if redis.call('ZREM', key('slots', account), holder) == 0 then return end
  local asset = asset_of(holder)
  redis.call('HDEL', key('since'), asset)
  local who = known(asset)
  if who then
    held(who, -1)
    forgotten(asset, who)
  end
end

-- Who was reserved a slot and did not come gets his place in line back.
local function lapsed()
  for _, account in ipairs(pool.accounts) do
    for _, asset in ipairs(redis.call('ZRANGEBYSCORE', key('reserved', account.name), '-inf', now)) do
      local who = known(asset)
      if who then
        unreserved(account, asset, who)
        lined_up(asset, who)
      else
        redis.call('ZREM', key('reserved', account.name), asset)
      end
    end
    for _, holder in ipairs(redis.call('ZRANGEBYSCORE', key('slots', account.name), '-inf', now)) do
      let_go(account.name, holder)
    end
  end
end

local function limit(account)
  return math.min(tonumber(redis.call('HGET', key('learned', account.name), 'slots') or account.slots), account.ceiling)
end

local function in_use(account)
  return redis.call('ZCARD', key('slots', account.name)) + redis.call('ZCARD', key('reserved', account.name))
end

local function left_ms(name, account)
  return math.max(tonumber(redis.call('GET', key(name, account.name)) or '0') - now, 0)
end

-- For how long an account takes no order by its provider's word, and why.
local function paused(account)
  local blocked, used_up = left_ms('blocked', account), left_ms('used_up', account)
  blocked = math.max(blocked, left_ms('unpaid', account))
  if used_up > blocked then return used_up, 'daily_limit' end
  return blocked, 'blocked'
end

-- The windows that count an order of this model: some are for a family of models alone.
local function windows_of(account, model)
  local found = {}
  for _, window in ipairs(account.windows) do
    local counts = #window[4] == 0
    for _, each in ipairs(window[4]) do counts = counts or each == model end
    if counts then found[#found + 1] = window end
  end
  return found
end

-- How full the fullest window is, and how long until there is room where there is none: share, wait ms, its name.
local function windows(account, model)
  local fullest, wait, name = 0, 0, nil
  for _, window in ipairs(windows_of(account, model)) do
    local requests = key('window', account.name, window[1])
    redis.call('ZREMRANGEBYSCORE', requests, '-inf', now - window[3])
    local count = redis.call('ZCARD', requests)
    fullest = math.max(fullest, count / window[2])
    if count >= window[2] then
      local oldest = redis.call('ZRANGE', requests, count - window[2], count - window[2], 'WITHSCORES')
      if oldest[2] + window[3] - now > wait then
        wait, name = oldest[2] + window[3] - now, window[1]
      end
    end
  end
  return fullest, wait, name
end

local function gap_ms(account, fullest)
  local refused_at = tonumber(redis.call('HGET', key('learned', account.name), 'refused_at') or '0')
  local gentle = refused_at + RECOVERY_MS > now or fullest > 0.5
  local gap = math.max(account.gap, gentle and GENTLE_GAP_MS or 0)
  return math.max(tonumber(redis.call('GET', key('last', account.name)) or '0') + gap - now, 0)
end

-- How much of the account is free, as a share of its limit; where nothing is: why, and how long (0: a release tells).
local function room(account, model)
  local pause, said = paused(account)
  if pause > 0 then return 0, said, pause end
  local most = limit(account)
  local free = most - in_use(account)
  if free <= 0 then
    return 0, most < account.slots and 'learned_limit' or 'slot', 0
  end
  if redis.call('ZCARD', key('reserved', account.name)) >= MOST_RESERVED then return 0, 'slot', 0 end
  local fullest, wait, name = windows(account, model)
  if wait > 0 then return 0, name == 'daily' and 'daily_limit' or 'rate', wait end
  local gap = gap_ms(account, fullest)
  if gap > 0 then return 0, 'rate', gap end
  return free / most, nil, 0
end

-- The accounts where the model does not fail just now; all of them where it fails at each.
local function well(model)
  local found = {}
  for _, account in ipairs(pool.accounts) do
    local open = redis.call('HGET', key('breaker', account.name, model), 'opened_until')
    if tonumber(open or '0') == 0 then found[#found + 1] = account end
  end
  return #found > 0 and found or pool.accounts
end

-- The account with the most room; without any: why the one that will be free first is not, and when (0: at a release).
local function best(model)
  local chosen, most, why, soonest = nil, 0, 'slot', 0
  for _, account in ipairs(#pool.accounts > 1 and well(model) or pool.accounts) do
    local free, reason, wait = room(account, model)
    if free > most then chosen, most = account, free end
    if reason and (soonest == 0 and (wait > 0 or why == 'slot') or wait > 0 and wait < soonest) then
      why, soonest = reason, wait
    end
  end
  return chosen, why, soonest
end

local function counted(account, asset, model)
  redis.call('SET', key('last', account.name), string.format('%.0f', now))
  for _, window in ipairs(windows_of(account, model)) do
    local requests = key('window', account.name, window[1])
    redis.call('ZADD', requests, now, asset .. ':' .. clock[1] .. clock[2])
    redis.call('PEXPIRE', requests, window[3])
  end
end

-- Give what is free to whoever's turn it is. The assets to wake, why nobody else gets anything, and for how long (ms).
local function give()
  local heads, held_back, why_held, wait_held = {}, nil, nil, 0
  while true do
    local asset, who
    if held_back then asset, who = first_but(held_back) else asset, who = first() end
    if not asset then return heads, why_held, wait_held end
    local account, why, wait = best(who.model)
    if not account and not best('') then return heads, why, wait end
    if account then
      redis.call('ZREM', key('assets', who.job), asset)
      redis.call('ZADD', key('reserved', account.name), now + pool.reserve, asset)
      held(who, 1)
      served(who)
      rescored(who.owner, who.job)
      counted(account, asset, who.model)
      heads[#heads + 1] = asset
    else
      -- There is room, but not in its family's window: whoever makes something else may pass.
      held_back = held_back or {}
      held_back[who.model] = true
      if wait_held == 0 or wait < wait_held then why_held, wait_held = why, wait end
    end
  end
end

-- Somebody has to come back when the block or the window ends: exactly one does. 0: nobody needs to, or one does already.
local function alarm(wait)
  if wait <= 0 then return 0 end
  local due = tonumber(redis.call('GET', key('alarm')) or '0')
  if due > now and due <= now + wait + 20 then return 0 end
  redis.call('SET', key('alarm'), string.format('%.0f', now + wait), 'PX', math.ceil(wait) + 1000)
  return math.ceil(wait)
end

-- {word, account or reason, wait of the line in ms, alarm in ms, assets to wake …}
local function told(word, detail, heads, wait)
  local answer = {word, detail or '', math.ceil(wait), alarm(wait)}
  for _, asset in ipairs(heads) do answer[#answer + 1] = asset end
  return answer
end

if redis.call('EXISTS', key('ready')) == 0 and not pool.opening then
  return {'lost', '', 0, 0}
end
