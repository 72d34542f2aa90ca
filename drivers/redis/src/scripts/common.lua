-- What all scripts share. Times are microseconds of the server's clock, and so are tokens and
-- revisions: each number handed out is at least the time, and above the last one of its key and lock.

-- How long what is over is still known: in milliseconds.
local MEMORY = 3600000
-- How long the revision of a value outlives its retention: at least this long, in milliseconds.
local SHORT_MEMORY = 60000

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function digits(number)
  return string.format('%.0f', number)
end

local function above(now, a, b)
  local next = now
  if a and a >= next then next = a + 1 end
  if b and b >= next then next = b + 1 end
  return next
end

-- The named fields of a hash that this store writes, as numbers; nil if it is something else.
local function numbers(key, ...)
  local names = {...}
  local found = redis.call('HMGET', key, ...)
  local hash = {}
  local known = false
  for i, name in ipairs(names) do
    local text = found[i]
    if text then
      if not string.match(text, '^%d+$') or #text > 16 then return nil end
      hash[name] = tonumber(text)
      known = true
    end
  end
  if not known and redis.call('EXISTS', key) == 1 then return nil end
  return hash
end

local function foreign(key)
  return redis.error_reply('FOREIGN ' .. key)
end

-- r revision, t token of the value, a when it was written, x when it is over, p and q the token and the
-- revision of the last publication. The bytes are in v.
local function value_of(key)
  local value = numbers(key, 'r', 't', 'a', 'x', 'p', 'q')
  if value and not value.r and next(value) then return nil end
  return value
end

local function is_there(value, now)
  return value.a and (not value.x or value.x > now)
end

local function age(value, now)
  if value.a < now then return now - value.a end
  return 0
end

-- t token, e when the lease lapses (absent when it has ended), g the generation. And as text: n the
-- attempt, h the holder, k the key.
local function lock_of(key)
  local lock = numbers(key, 't', 'e', 'g')
  if lock and not lock.t and next(lock) then return nil end
  return lock
end

local function is_live(lock, now)
  return lock.e and lock.e > now
end

-- The bytes of a value if they are few, with its revision, token and age.
local function entry_of(key, value, now, limit)
  if not is_there(value, now) then
    return {value.r or 0, 0, 0, 0, 0}
  end
  local bytes = 0
  if not limit or redis.call('HSTRLEN', key, 'v') <= limit then
    bytes = redis.call('HGET', key, 'v')
    if not bytes then return nil end
  end
  return {value.r, 1, bytes, value.t or 0, age(value, now)}
end

local function hold(key, until_)
  redis.call('PEXPIREAT', key, math.ceil(until_ / 1000) + MEMORY)
end

-- Ends the lease; its token stays known.
local function free(key)
  redis.call('HDEL', key, 'e', 'g', 'n', 'h', 'k')
  redis.call('PEXPIRE', key, MEMORY)
end

local function write(key, now, revision, token, bytes, retain)
  redis.call('HSET', key, 'r', digits(revision), 'a', digits(now), 'v', bytes)
  if token then
    redis.call('HSET', key, 't', digits(token), 'p', digits(token), 'q', digits(revision))
  else
    redis.call('HDEL', key, 't')
  end
  if retain then
    local memory = math.min(math.max(retain / 1000, SHORT_MEMORY), MEMORY)
    redis.call('HSET', key, 'x', digits(now + retain))
    redis.call('PEXPIREAT', key, math.ceil((now + retain) / 1000 + memory))
  else
    redis.call('HDEL', key, 'x')
    redis.call('PERSIST', key)
  end
end

-- An error if this user may not tell what is to be told: asked before anything is written, for a script
-- that is stopped halfway leaves what it has done. Servers before version 7 cannot be asked.
local function mute(...)
  if not redis.acl_check_cmd then return nil end
  for _, channel in ipairs({...}) do
    if not redis.acl_check_cmd('PUBLISH', channel, '') then
      return redis.error_reply('NOPERM this user may not publish to ' .. channel)
    end
  end
end

-- What is told: a head of two parts, the key's and the lock's, either of which may be empty, and then
-- a line's end and the bytes of a value or the words of a holder.
local function told_value(revision, token, bytes, limit)
  if #bytes <= limit then
    return 'v,' .. digits(revision) .. ',' .. digits(token or 0), bytes
  end
  return 'r,' .. digits(revision), ''
end

local function tell(channel, of_key, of_lock, body)
  redis.call('PUBLISH', channel, of_key .. ';' .. of_lock .. '\n' .. body)
end

local function tell_held(channel, lock, now, holder)
  tell(channel, '', 'h,' .. digits(lock.t) .. ',' .. digits(lock.e - now), holder or '')
end

-- No lease up to this number is live.
local function told_free(number)
  return 'f,' .. digits(number)
end

-- That the key has moved and the lock is free: together where one channel is both's.
local function tell_both(of_key, of_lock, told, bytes, free)
  if of_key == of_lock then
    tell(of_key, told, free, bytes)
  else
    tell(of_key, told, '', bytes)
    tell(of_lock, '', free, '')
  end
end

local function tell_all(channel, revision, name)
  redis.call('PUBLISH', channel, digits(revision) .. ' ' .. name)
end
