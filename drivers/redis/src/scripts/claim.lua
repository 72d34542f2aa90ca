-- KEYS: value, lock. ARGV: seen, ttl, attempt, holder, key, limit, channel of the lock, 1 if the
-- answer to the same was lost.
local now = clock()
local value = value_of(KEYS[1])
if not value then return foreign(KEYS[1]) end
local lock = lock_of(KEYS[2])
if not lock then return foreign(KEYS[2]) end

local last = value.r or 0
local of = is_live(lock, now) and redis.call('HMGET', KEYS[2], 'n', 'h')
local is_own = of and of[1] == ARGV[3]

if is_there(value, now) and last > tonumber(ARGV[1]) then
  local entry = entry_of(KEYS[1], value, now)
  if not entry then return foreign(KEYS[1]) end
  -- Nobody would give back what was granted then.
  if is_own and ARGV[8] == '1' then
    free(KEYS[2])
    tell(ARGV[7], '', told_free(lock.t), '')
  end
  return {'newer', entry, math.max(lock.t or 0, value.p or 0)}
end

if is_own then return {'granted', lock.t, lock.e - now, lock.g or 0} end
if of then
  local entry = entry_of(KEYS[1], value, now, tonumber(ARGV[6]))
  if not entry then return foreign(KEYS[1]) end
  return {'held', lock.t, lock.e - now, of[2] or '', entry}
end

local no = mute(ARGV[7])
if no then return no end
lock.t = above(now, lock.t, last)
lock.e = now + tonumber(ARGV[2])
redis.call('HSET', KEYS[2], 't', digits(lock.t), 'e', digits(lock.e), 'g', digits(last),
  'n', ARGV[3], 'h', ARGV[4], 'k', ARGV[5])
hold(KEYS[2], lock.e)
tell_held(ARGV[7], lock, now, ARGV[4])
return {'granted', lock.t, lock.e - now, last}
