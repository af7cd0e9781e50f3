package fleet

// The scripts run in the store, each as one step that nothing comes between. They count as
// package limit does: a test holds them against it, decision by decision.
//
// All keys of a fleet have one hash tag, so that they are in one slot of a cluster:
//
//	{kai}:g:DIGEST     hash: incarnation → when its heart beat last, in milliseconds, and the
//	                   digest of its limits; of the gateways with one secret
//	{kai}:l:INC        hash: lease → what it reserved, "period:amount;" for each bucket that
//	                   is no count of running requests; "0" says that the incarnation is known
//	{kai}:b:DIGEST     text: the count of a bucket, "index now before debt end warned"
//	{kai}:c:DIGEST     hash: incarnation → how many of its requests run
//
// Numbers of Lua are exact up to 2⁵³. Times are in microseconds.

// clock gives the time of the server, so that the clocks of gateways don't matter.
const clock = `redis.call('TIME')`

// counting is what the scripts have in common. The time is t, in microseconds.
const counting = `
local clock = ` + clock + `
local sec, us = tonumber(clock[1]), tonumber(clock[2])
local t = sec * 1000000 + us

-- Returns n * part / whole, rounded up, exactly: part is at most whole, which is below 2^37.
local function share(n, part, whole)
  if n <= 0 then return 0 end
  local all = math.floor(n / whole)
  local rest = n - all * whole
  local q, r = 0, 0
  for _, unit in ipairs({1073741824, 32768, 1}) do
    local digit = math.floor(part / unit) % 32768
    local v = r * 32768 + rest * digit
    local whole_times = math.floor(v / whole)
    q = q * 32768 + whole_times
    r = v - whole_times * whole
  end
  if r > 0 then q = q + 1 end
  return all * part + q
end

-- Goes on by n periods of a window. What is beyond the limit is paid first.
local function advance(c, limit, n)
  if limit <= 0 then c.d = 0 end
  while n > 0 and (c.n ~= 0 or c.b ~= 0 or c.d ~= 0) do
    local skip = 0
    if limit > 0 then skip = math.min(n - 1, math.floor(c.d / limit) - 2) end
    if skip >= 2 then
      c.n, c.b, c.d = limit, limit, c.d - skip * limit
      c.i, n = c.i + skip, n - skip
    else
      local paid = math.min(c.d, limit)
      c.n, c.b, c.d = paid, c.n, c.d - paid
      c.i, n = c.i + 1, n - 1
    end
  end
  if n > 0 then c.i = c.i + n end
end

-- Reads the count of a window (kind w, from is its length) or of money (kind m, in a period
-- from .. to), and goes on to the present period. Nil: the period is not the present one.
local function load(key, kind, limit, from, to)
  local c = {i = -1, n = 0, b = 0, d = 0, e = 0, w = 0}
  local text = redis.call('GET', key)
  if text then
    local i, n, b, d, e, w = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    c.i, c.n, c.b, c.d, c.e, c.w = tonumber(i), tonumber(n), tonumber(b), tonumber(d), tonumber(e), tonumber(w)
  end
  if kind == 'm' then
    if c.i < 0 or c.e ~= 0 and sec >= c.e then
      if to ~= 0 and (sec < from or sec >= to) then return nil end
      c.i, c.e, c.n, c.w = from, to, 0, 0
    end
    return c
  end
  local period = math.floor(t / from)
  if c.i < 0 then c.i = period else advance(c, limit, period - c.i) end
  return c
end

local function used(c, kind, from)
  if kind == 'm' then return c.n end
  local left = math.max(0, math.min(from, (c.i + 1) * from - t))
  return c.n + c.d + share(c.b, left, from)
end

-- Writes a count, to be forgotten when nothing of it counts any more.
local function save(key, c, kind, limit, from)
  local text = string.format('%.0f %.0f %.0f %.0f %.0f %.0f', c.i, c.n, c.b, c.d, c.e, c.w)
  if kind == 'w' then
    local periods = 2
    if limit > 0 then periods = periods + math.ceil(c.d / limit) end
    local life = math.min(periods * math.ceil(from / 1000) + 60000, 1e12)
    redis.call('SET', key, text, 'PX', string.format('%.0f', life))
  elseif c.e ~= 0 then
    redis.call('SET', key, text, 'PX', string.format('%.0f', (c.e - sec) * 1000 + 60000))
  else
    redis.call('SET', key, text)
  end
end
`

// What a script answers first. The time follows, in seconds and microseconds.
const (
	done      = 1
	refused   = 0
	unknown   = -1 // the store doesn't know the incarnation, or what it had
	otherTime = -2 // a period of money is not the present one
)

// admitting lets a request in. KEYS: the gateways, the incarnation's leases, then one for
// each bucket. ARGV: incarnation, lease, how long a heart may not beat in milliseconds, then
// for each bucket: kind, limit, from, to, must, may.
//
// It answers six numbers for each bucket: index, now, before, debt, end, taken.
const admitting = counting + `
local own, beats = ARGV[1]
if redis.call('HEXISTS', KEYS[1], own) == 0 then return {-1, sec, us} end
local oldest = sec * 1000 + math.floor(us / 1000) - tonumber(ARGV[3])

local counts, enough = {}, true
local answer = {1, sec, us}
for k = 3, #KEYS do
  local a = 4 + (k - 3) * 6
  local kind, limit, from, to = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local must, may = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  local c
  if kind == 'c' then
    c = {i = 0, n = 0, b = 0, d = 0, e = 0}
    if not beats then
      beats = {}
      local all = redis.call('HGETALL', KEYS[1])
      for j = 1, #all, 2 do beats[all[j]] = tonumber(string.match(all[j + 1], '^%d+')) end
    end
    local held = redis.call('HGETALL', KEYS[k])
    for j = 1, #held, 2 do
      if held[j] == own or beats[held[j]] and beats[held[j]] >= oldest then
        c.n = c.n + tonumber(held[j + 1])
      elseif not beats[held[j]] then
        redis.call('HDEL', KEYS[k], held[j])
      end
    end
    c.u = c.n
  else
    c = load(KEYS[k], kind, limit, from, to)
    if not c then return {-2, sec, us} end
    c.u = used(c, kind, from)
  end
  c.kind, c.limit, c.from, c.taken = kind, limit, from, 0
  if must > 0 or may > 0 then
    local need = math.max(math.min(must, limit), 1)
    if limit - c.u < need or must > 2 * limit and limit > 0 then enough = false end
    must = math.min(must, limit)
    c.taken = must + math.min(may, math.max(0, limit - c.u - must))
  end
  counts[#counts + 1] = c
end
if not enough then answer[1] = 0 end
local lease = {}
for k, c in ipairs(counts) do
  if enough then
    c.n = c.n + c.taken
    if c.kind == 'c' then
      redis.call('HINCRBY', KEYS[k + 2], own, 1)
      redis.call('EXPIRE', KEYS[k + 2], 172800)
    else
      lease[#lease + 1] = string.format('%.0f:%.0f;', c.i, c.taken)
      if c.taken > 0 then save(KEYS[k + 2], c, c.kind, c.limit, c.from) end
    end
  end
  for _, v in ipairs({c.i, c.n, c.b, c.d, c.e, c.taken}) do answer[#answer + 1] = v end
end
if enough then redis.call('HSET', KEYS[2], ARGV[2], table.concat(lease)) end
return answer
`

// settling ends a lease, once: it counts what was used instead of what was reserved. KEYS:
// the leases of the incarnation that it was given to, then one for each bucket. ARGV: lease,
// incarnation now, then for each bucket: kind, limit, from, to, used, at, warn. Used of -1
// keeps what was reserved. At is the period in which something was used; -1: now.
//
// It answers six numbers for each bucket: index, now, before, debt, end, and 1 if somebody
// should be warned.
const settling = counting + `
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if not lease then
  if redis.call('HEXISTS', KEYS[1], '0') == 1 then return {0, sec, us} end
  return {-1, sec, us}
end
local reserved = {}
for i, taken in string.gmatch(lease, '(%d+):(%d+);') do reserved[#reserved + 1] = {tonumber(i), tonumber(taken)} end

local counts, next_reserved = {}, 1
for k = 2, #KEYS do
  local a = 3 + (k - 2) * 7
  local kind, limit, from, to = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local c = {i = 0, n = 0, b = 0, d = 0, e = 0}
  if kind ~= 'c' then
    c = load(KEYS[k], kind, limit, from, to)
    if not c then return {-2, sec, us} end
    c.reserved = reserved[next_reserved] or {-1, 0}
    next_reserved = next_reserved + 1
  end
  c.kind, c.limit, c.from = kind, limit, from
  counts[#counts + 1] = c
end
redis.call('HDEL', KEYS[1], ARGV[1])
local answer = {1, sec, us}
for k, c in ipairs(counts) do
  local a = 3 + (k - 1) * 7
  local spent, at, warn, warned = tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6]), 0
  if c.kind == 'c' then
    redis.call('HINCRBY', KEYS[k + 1], ARGV[2], -1)
  elseif spent >= 0 then
    local more, before = spent - c.reserved[2], c.n + c.b + c.d
    if at >= 0 and at < c.i then
      if c.kind == 'w' and at == c.i - 1 then c.b = c.b + spent end
    elseif more > 0 and c.kind == 'm' then
      c.n = c.n + more
    elseif more > 0 then
      local fits = math.min(more, math.max(0, c.limit - used(c, c.kind, c.from)))
      c.n, c.d = c.n + fits, c.d + more - fits
    elseif c.reserved[1] == c.i then
      c.n = math.max(0, c.n + more)
    elseif c.kind == 'w' and c.reserved[1] == c.i - 1 then
      c.b = math.max(0, c.b + more)
    end
    if c.kind == 'm' and warn > 0 and c.n >= warn and c.n > 0 and c.w == 0 then c.w, warned = 1, 1 end
    if warned == 1 or c.n + c.b + c.d ~= before then save(KEYS[k + 1], c, c.kind, c.limit, c.from) end
  end
  for _, v in ipairs({c.i, c.n, c.b, c.d, c.e, warned}) do answer[#answer + 1] = v end
end
return answer
`

// beating says that a gateway lives. KEYS: the gateways, its leases. ARGV: incarnation, how
// long a heart may not beat, the digest of its limits. It answers how many gateways live, and
// how many of them have other limits.
const beating = counting + `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 or redis.call('HEXISTS', KEYS[2], '0') == 0 then return {-1, sec, us} end
local now = sec * 1000 + math.floor(us / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[3]))
redis.call('PEXPIRE', KEYS[2], 86400000)
local alive, others = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for k = 1, #all, 2 do
  local beat, limits = string.match(all[k + 1], '^(%d+) ?(.*)$')
  beat = tonumber(beat)
  if beat >= now - tonumber(ARGV[2]) then
    alive = alive + 1
    if limits ~= '' and limits ~= ARGV[3] then others = others + 1 end
  elseif beat < now - 4 * tonumber(ARGV[2]) then redis.call('HDEL', KEYS[1], all[k]) end
end
return {1, sec, us, alive, others}
`

// joining makes an incarnation known, with the requests that run, and forgets earlier ones
// of the same gateway: what they still send is refused. KEYS: the gateways, the new leases,
// then the counts of running requests. ARGV: the new incarnation, how many run of each, then
// the earlier incarnations.
const joining = counting + `
local now = sec * 1000 + math.floor(us / 1000)
for k = #KEYS, #ARGV do redis.call('HDEL', KEYS[1], ARGV[k]) end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
redis.call('HSET', KEYS[2], '0', '1')
redis.call('PEXPIRE', KEYS[2], 86400000)
for k = 3, #KEYS do
  redis.call('HINCRBY', KEYS[k], ARGV[1], ARGV[k - 1])
  redis.call('EXPIRE', KEYS[k], 172800)
end
return {1, sec, us}
`

// declaring makes a lease without reservations, for what was spent while the store was away.
// KEYS: the leases. ARGV: lease.
const declaring = counting + `
if redis.call('HEXISTS', KEYS[1], '0') == 0 then return {-1, sec, us} end
redis.call('HSET', KEYS[1], ARGV[1], '')
return {1, sec, us}
`

// peeking answers what buckets have. KEYS: the gateways, then the buckets. ARGV: the kind of
// each. It answers five numbers for each: index, now, before, debt, end.
const peeking = counting + `
local answer = {1, sec, us}
for k = 2, #KEYS do
  local c = {-1, 0, 0, 0, 0}
  if ARGV[k - 1] == 'c' then
    local held = redis.call('HGETALL', KEYS[k])
    for j = 1, #held, 2 do
      if redis.call('HEXISTS', KEYS[1], held[j]) == 1 then c[2] = c[2] + tonumber(held[j + 1]) end
    end
  else
    local text, j = redis.call('GET', KEYS[k]), 1
    for v in string.gmatch(text or '', '%d+') do
      if j <= 5 then c[j] = tonumber(v) end
      j = j + 1
    end
  end
  for _, v in ipairs(c) do answer[#answer + 1] = v end
end
return answer
`

// leaving forgets an incarnation that has ended. KEYS: the gateways. ARGV: incarnation.
const leaving = counting + `
redis.call('HDEL', KEYS[1], ARGV[1])
return {1, sec, us}
`
