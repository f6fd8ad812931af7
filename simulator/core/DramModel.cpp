//===- DramModel.cpp - DRAM channels, banks and refresh -----------------------===//

#include "simulator/core/DramModel.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace npucc {

namespace {

/// Whole clocks that cover a time. Data sheets round to 10 ps: a twentieth of a clock at most.
int64_t clocks(double ns, double clockNs) {
  return ns > 0 ? std::max<int64_t>(1, std::llround(std::ceil(ns / clockNs - 0.05))) : 0;
}

/// All higher bits folded into the low ones: a permutation-based interleaving in the manner
/// of Zhang, Zhu and Zhang (MICRO 2000).
uint64_t fold(uint64_t x) {
  x ^= x >> 32;
  x ^= x >> 16;
  x ^= x >> 8;
  x ^= x >> 4;
  x ^= x >> 2;
  return x;
}

} // namespace

DramModel::DramModel(const Machine &machine) {
  const DramStandard &d = machine.dram;
  const double clockNs = 1e3 * static_cast<double>(std::max<int64_t>(1, d.transfersPerClock)) /
                         std::max(d.megaTransfersPerSecond, 1e-3);
  clocksPerCycle = 1e9 / clockNs / std::max(machine.clockHz, 1.0);
  burst = std::max<int64_t>(1, d.channelWidthBits * d.burstLength / 8);
  auto in = [&](double ns) { return clocks(ns, clockNs); };
  t.burst = std::max<Clock>(1, d.burstLength / std::max<int64_t>(1, d.transfersPerClock));
  t.rcd = in(d.tRcdNs);
  t.rcdWrite = in(d.tRcdWriteNs);
  t.rp = in(d.tRpNs);
  t.rpAll = std::max(in(d.tRpAllNs), t.rp);
  t.ras = in(d.tRasNs);
  t.rc = std::max(in(d.tRcNs), t.ras + t.rp);
  t.cl = in(d.tClNs);
  t.cwl = in(d.tCwlNs);
  t.rtp = in(d.tRtpNs);
  t.wr = in(d.tWrNs);
  t.faw = in(d.tFawNs);
  t.rrdShort = in(d.tRrdShortNs);
  t.rrdLong = std::max(in(d.tRrdLongNs), t.rrdShort);
  t.ccdLong = std::max(in(d.tCcdLongNs), t.burst);
  t.ccdLongWrite = std::max(in(d.tCcdLongWriteNs), t.ccdLong);
  t.wtrShort = in(d.tWtrShortNs);
  t.wtrLong = std::max(in(d.tWtrLongNs), t.wtrShort);
  t.rtw = in(d.tRtwNs);
  t.refi = static_cast<Clock>(d.tRefiNs / clockNs);
  t.rfc = in(d.tRfcNs);
  t.rfcBank = in(d.tRfcBankNs);
  perBankRefresh = machine.dramRefreshPerBank && t.rfcBank > 0;
  bankGroups = static_cast<size_t>(std::max<int64_t>(1, d.bankGroups));
  // Bursts alternate between as many groups as hide tCCD_L behind the data.
  lanes = std::clamp<int64_t>((t.ccdLongWrite + t.burst - 1) / t.burst, 1,
                              std::min<int64_t>(d.bankGroups, kMaxLanes));
  while (static_cast<int64_t>(bankGroups) % lanes != 0)
    ++lanes;
  pageBytes = lanes * std::max(d.pageBytes, burst);
  const int64_t banks = static_cast<int64_t>(bankGroups) * std::max<int64_t>(1, d.banksPerGroup);
  sets = banks / lanes;
  const int64_t count =
      std::max<int64_t>(1, machine.dramWidthBits / std::max<int64_t>(1, d.channelWidthBits));
  channelState.resize(static_cast<size_t>(count));
  for (Channel &channel : channelState) {
    channel.banks.resize(static_cast<size_t>(banks));
    channel.groupData.assign(bankGroups, kNever);
    channel.groupWrite.assign(bankGroups, kNever);
    // Refreshes of single banks take turns.
    for (size_t b = 0; b < channel.banks.size(); ++b)
      channel.banks[b].nextRefresh =
          perBankRefresh ? t.refi * static_cast<int64_t>(b + 1) / banks : t.refi;
  }
}

DramModel::Clock DramModel::toClock(int64_t cycles) const {
  return static_cast<Clock>(std::ceil(static_cast<double>(cycles) * clocksPerCycle - 1e-3));
}

int64_t DramModel::toCycles(Clock time) const {
  // The tolerance keeps whole cycles whole.
  return static_cast<int64_t>(std::ceil(static_cast<double>(time) / clocksPerCycle - 1e-3));
}

/// From burst to burst of a piece.
DramModel::Clock DramModel::pitch(bool write) const {
  return std::max(t.burst, ((write ? t.ccdLongWrite : t.ccdLong) + lanes - 1) / lanes);
}

size_t DramModel::rotation(int64_t group) const {
  return static_cast<size_t>(fold(static_cast<uint64_t>(group)) % channelState.size());
}

size_t DramModel::bankOf(int64_t page, int64_t lane, int64_t &row) const {
  row = page / sets;
  auto set = static_cast<int64_t>((static_cast<uint64_t>(page) + fold(static_cast<uint64_t>(row))) %
                                  static_cast<uint64_t>(sets));
  // Neighbouring sets lie in different bank groups.
  const int64_t groupSets = static_cast<int64_t>(bankGroups) / lanes;
  int64_t group = set % groupSets * lanes + lane;
  return static_cast<size_t>(set / groupSets * static_cast<int64_t>(bankGroups) + group);
}

DramModel::Location DramModel::locate(int64_t address) const {
  const auto count = static_cast<int64_t>(channelState.size());
  int64_t block = address / kInterleaveBytes, group = block / count;
  int64_t local = group * kInterleaveBytes + address % kInterleaveBytes;
  int64_t index = local % pageBytes / burst;
  Location result{};
  result.channel = (static_cast<size_t>(block % count) + rotation(group)) % channelState.size();
  result.bank = bankOf(local / pageBytes, index % lanes, result.row);
  result.burst = index / lanes;
  return result;
}

/// The bank's refreshes that are due until `time`. Those of an idle time are over; the last
/// one may still be under way. Other banks may yet be accessed before a refresh of all, and
/// take their part when they are next looked at.
void DramModel::refresh(Channel &channel, size_t index, Clock time) {
  Bank &bank = channel.banks[index];
  const int64_t passed = std::max<int64_t>(0, time - bank.nextRefresh) / t.refi;
  const Clock due = bank.nextRefresh + passed * t.refi;
  const Clock close = perBankRefresh ? t.rp : t.rpAll;
  auto closed = [&](const Bank &b) {
    return b.row < 0 ? due : std::max(due, b.prechargeReady) + close;
  };
  Clock end = closed(bank) + (perBankRefresh ? t.rfcBank : t.rfc);
  if (perBankRefresh) {
    stats.refreshes += passed + 1;
  } else {
    if (due > channel.refreshDue) { // the first bank to meet this one
      stats.refreshes += (due - channel.refreshDue) / t.refi;
      channel.refreshDue = due;
      channel.refreshEnd = end;
      for (const Bank &other : channel.banks)
        channel.refreshEnd = std::max(channel.refreshEnd, closed(other) + t.rfc);
    }
    if (due == channel.refreshDue)
      end = std::max(end, channel.refreshEnd);
  }
  bank.row = -1;
  bank.activateReady = std::max(bank.activateReady, end);
  bank.nextRefresh = due + t.refi;
}

/// The first time that keeps tRRD and tFAW with the activates before and after it.
DramModel::Clock DramModel::activateSlot(const Channel &channel, size_t group,
                                         Clock earliest) const {
  const std::vector<Activate> &acts = channel.activates;
  Clock at = std::max(earliest, channel.activateFloor);
  auto spacing = [&](const Activate &other) {
    return other.group == group ? t.rrdLong : t.rrdShort;
  };
  size_t next = acts.size();
  while (next > 0 && acts[next - 1].at > at)
    --next;
  for (;;) {
    const Clock before = at;
    while (next < acts.size() && acts[next].at <= at)
      ++next;
    for (size_t i = next; i > 0 && acts[i - 1].at + t.rrdLong > at; --i)
      at = std::max(at, acts[i - 1].at + spacing(acts[i - 1]));
    if (next >= 4)
      at = std::max(at, acts[next - 4].at + t.faw);
    if (at != before)
      continue;
    if (next == acts.size())
      return at;
    // Room before the next one, and no five within tFAW of which this is not the last?
    bool fits = true;
    for (size_t i = next; i < acts.size() && acts[i].at < at + t.rrdLong; ++i)
      fits &= acts[i].at - at >= spacing(acts[i]);
    for (size_t back = 0; fits && back < 4; ++back) {
      // `back` activates before this one, so that 3 - back more come after the next.
      const size_t last = next + 3 - back;
      if (back > next || last >= acts.size())
        continue;
      const Clock first = back ? acts[next - back].at : at;
      fits = acts[last].at - first >= t.faw;
    }
    if (fits)
      return at;
    at = acts[next].at + spacing(acts[next]);
  }
}

void DramModel::recordActivate(Channel &channel, size_t id, Clock at, size_t owner) {
  std::vector<Activate> &acts = channel.activates;
  auto after = acts.end();
  while (after != acts.begin() && std::prev(after)->at > at)
    --after;
  acts.insert(after, {at, groupOf(id)});
  if (acts.size() > kMaxActivates) {
    channel.activateFloor = acts.front().at + t.rrdLong;
    acts.erase(acts.begin());
  }
  Bank &bank = channel.banks[id];
  bank.activated = at;
  bank.activateReady = at + t.rc;
  bank.prechargeReady = at + t.ras;
  ++stats.activates;
  if (owner >= byOwner.size())
    byOwner.resize(owner + 1);
  ++byOwner[owner];
}

/// When the bank's row has been activated; its next refresh or later when that comes first.
DramModel::Clock DramModel::open(Channel &channel, size_t id, int64_t row, Clock earliest,
                                 size_t owner) {
  Bank &bank = channel.banks[id];
  if (bank.row == row) {
    ++stats.rowHits;
    return bank.activated;
  }
  Clock at = std::max(earliest, bank.activateReady);
  if (bank.row >= 0)
    at = std::max(at, std::max(earliest, bank.prechargeReady) + t.rp);
  at = activateSlot(channel, groupOf(id), at);
  if (t.refi > 0 && at >= bank.nextRefresh)
    return at;
  bank.row = row;
  recordActivate(channel, id, at, owner);
  return at;
}

/// Finds bus time for up to `bursts` bursts that start between `earliest` and `latest`: in
/// the first gap, or at the end. Returns how many fitted; 0 when none can start by `latest`.
int64_t DramModel::place(Channel &channel, const Touched &touched, bool write, Clock earliest,
                         Clock latest, int64_t bursts, Clock &start) {
  const Clock step = pitch(write), same = write ? t.ccdLongWrite : t.ccdLong;
  auto groupAt = [&](int64_t j) {
    return groupOf(touched.bank[static_cast<size_t>(j % touched.count)]);
  };
  for (size_t i = 0; i < channel.gaps.size(); ++i) {
    Gap &gap = channel.gaps[i];
    start = std::max(earliest, gap.start);
    if (gap.before == groupAt(0))
      start = std::max(start, gap.start + same - t.burst);
    int64_t count = std::min(bursts, (gap.end - start + step - t.burst) / step);
    if (count > 0 && groupAt(count - 1) == gap.after &&
        gap.end - (start + (count - 1) * step) < same)
      --count;
    if (count <= 0)
      continue;
    if (start > latest)
      return 0;
    count = std::min(count, (latest - start) / step + 1);
    const Gap left{gap.start, start, gap.before, groupAt(0)};
    const Gap right{start + (count - 1) * step + t.burst, gap.end, groupAt(count - 1), gap.after};
    channel.gaps.erase(channel.gaps.begin() + static_cast<std::ptrdiff_t>(i));
    for (const Gap &rest : {right, left})
      if (rest.end - rest.start >= t.burst)
        channel.gaps.insert(channel.gaps.begin() + static_cast<std::ptrdiff_t>(i), rest);
    return count;
  }
  start = std::max(earliest, channel.busEnd);
  for (int64_t j = 0; j < touched.count; ++j)
    start = std::max(start, channel.groupData[groupAt(j)] + same - j * step);
  // A hole of less than a burst would be lost: with others waiting, one of them goes first.
  if (start > channel.busEnd && start - channel.busEnd < t.burst && earliest <= channel.busEnd)
    start = channel.busEnd + t.burst;
  if (start > latest)
    return 0;
  const int64_t count = std::min(bursts, (latest - start) / step + 1);
  if (start - channel.busEnd >= t.burst) {
    if (channel.gaps.size() == kMaxGaps)
      channel.gaps.erase(channel.gaps.begin());
    channel.gaps.push_back({channel.busEnd, start, channel.lastGroup, groupAt(0)});
  }
  channel.busEnd = start + (count - 1) * step + t.burst;
  channel.lastGroup = groupAt(count - 1);
  for (int64_t j = std::max<int64_t>(0, count - lanes); j < count; ++j)
    channel.groupData[groupAt(j)] = start + j * step;
  return count;
}

/// The bus changes its direction: nothing more goes before that.
void DramModel::turn(Channel &channel, bool write) {
  if (channel.used)
    channel.busEnd +=
        write ? std::max<Clock>(0, t.rtw + t.cwl - t.cl - t.burst) : t.wtrShort + t.cl;
  channel.writing = write;
  channel.lastGroup = bankGroups; // none
  channel.gaps.clear();
  channel.groupData.assign(bankGroups, kNever);
}

DramModel::Clock DramModel::transfer(Channel &channel, Piece piece, bool write, Clock earliest) {
  if (channel.writing != write || !channel.used)
    turn(channel, write);
  channel.used = true;
  const Clock cas = write ? t.cwl : t.cl, rcd = write ? t.rcdWrite : t.rcd, step = pitch(write);
  (write ? stats.writeBursts : stats.readBursts) += piece.bursts;
  // What no later request can use any more.
  auto past = channel.gaps.begin();
  while (past != channel.gaps.end() && past->end < earliest + cas)
    ++past;
  channel.gaps.erase(channel.gaps.begin(), past);
  if (channel.activates.size() > kFewActivates) {
    auto old = channel.activates.begin();
    while (old != channel.activates.end() && old->at + t.faw + t.rrdLong < earliest)
      ++old;
    channel.activates.erase(channel.activates.begin(), old);
  }
  Clock end = 0;
  while (piece.bursts > 0) {
    Touched touched;
    touched.count = std::min(lanes, piece.bursts);
    Clock ready = earliest + cas, due = std::numeric_limits<Clock>::max();
    size_t refreshed = 0;
    for (int64_t j = 0; j < touched.count; ++j) {
      const size_t id = touched.bank[static_cast<size_t>(j)] =
          bankOf(piece.page, (piece.firstBurst + j) % lanes, touched.row);
      const Clock activated = open(channel, id, touched.row, earliest, piece.owner);
      const Bank &bank = channel.banks[id];
      Clock first = std::max(activated + rcd + cas, bank.nextData);
      if (!write)
        first = std::max(first, channel.groupWrite[groupOf(id)] + t.wtrLong + cas);
      ready = std::max(ready, first - j * step);
      if (t.refi > 0 && bank.nextRefresh < due) {
        due = bank.nextRefresh;
        refreshed = id;
      }
    }
    // Column commands go before the refresh, or after it.
    Clock start;
    const int64_t count =
        place(channel, touched, write, ready,
              due == std::numeric_limits<Clock>::max() ? due : due + cas - 1, piece.bursts, start);
    if (count == 0) {
      refresh(channel, refreshed, std::max(due, earliest));
      continue;
    }
    end = start + (count - 1) * step + t.burst;
    for (int64_t j = 0; j < std::min(touched.count, count); ++j) {
      const size_t id = touched.bank[static_cast<size_t>(j)];
      const Clock last = start + (j + (count - 1 - j) / lanes * lanes) * step;
      Bank &bank = channel.banks[id];
      bank.nextData = last + t.burst;
      bank.prechargeReady =
          std::max(bank.prechargeReady, write ? last + t.burst + t.wr : last - t.cl + t.rtp);
      if (write)
        channel.groupWrite[groupOf(id)] = std::max(channel.groupWrite[groupOf(id)], last + t.burst);
    }
    piece.firstBurst += count;
    piece.bursts -= count;
  }
  return end;
}

/// A channel that has had nothing to do for a row cycle writes what is posted.
void DramModel::drainIdle(Channel &channel, Clock now) {
  if (channel.writes.empty())
    return;
  const Clock start = std::max(channel.busEnd, channel.writes.back().arrival) + t.rc;
  if (start <= now)
    drainAll(channel, start);
}

/// Writes everything. All of it is known, so that what hits an open row goes first, and the
/// rest in the order in which banks become ready, the oldest first of those that are: setting
/// times for a busy bank ahead would leave holes between the activates.
void DramModel::drainAll(Channel &channel, Clock earliest) {
  std::vector<Piece> &left = channel.writes;
  Clock frontier = earliest;
  while (!left.empty()) {
    bankTaken.assign(channel.banks.size(), false);
    auto each = [&](const Piece &piece, auto &&visit) {
      for (int64_t j = 0, row; j < std::min(lanes, piece.bursts); ++j) {
        const size_t id = bankOf(piece.page, (piece.firstBurst + j) % lanes, row);
        visit(id, channel.banks[id], channel.banks[id].row == row);
      }
    };
    for (const Piece &piece : left)
      each(piece, [&](size_t id, const Bank &, bool hit) {
        if (hit)
          bankTaken[id] = true; // misses wait for the hits
      });
    size_t best = 0;
    Clock bestReady = std::numeric_limits<Clock>::max();
    for (size_t i = 0; i < left.size() && bestReady > frontier; ++i) {
      Clock ready = kNever;
      bool waits = false;
      each(left[i], [&](size_t id, const Bank &bank, bool hit) {
        waits |= !hit && bankTaken[id];
        bankTaken[id] = true; // order within the bank
        ready = std::max(ready, hit ? bank.activated
                                    : std::max(bank.activateReady,
                                               bank.row < 0 ? 0 : bank.prechargeReady + t.rp));
      });
      if (!waits && ready < bestReady) {
        best = i;
        bestReady = ready;
      }
    }
    frontier = std::max(frontier, bestReady);
    const Piece piece = left[best];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(best));
    channel.drained = std::max(channel.drained,
                               transfer(channel, piece, true, std::max(earliest, piece.arrival)));
  }
  channel.queuedBytes = 0;
}

void DramModel::accessChannel(size_t index, int64_t from, int64_t to, bool write, Clock now,
                              size_t owner, Clock &done) {
  Channel &channel = channelState[index];
  drainIdle(channel, now);
  while (from < to) {
    int64_t page = from / pageBytes;
    int64_t end = std::min(to, (page + 1) * pageBytes);
    int64_t first = from % pageBytes / burst;
    int64_t last = (end - 1) % pageBytes / burst;
    Piece piece{page, first, last - first + 1, now, owner};
    if (!write) {
      done = std::max(done, transfer(channel, piece, false, now));
    } else {
      channel.writes.push_back(piece);
      channel.queuedBytes += piece.bursts * burst;
      if (channel.queuedBytes >= kWriteQueueBytes) {
        done = std::max(done, channel.drained);
        drainAll(channel, now);
      }
    }
    from = end;
  }
}

int64_t DramModel::access(int64_t address, int64_t bytes, bool write, int64_t now, size_t owner) {
  if (bytes <= 0)
    return now;
  const Clock time = toClock(now);
  Clock done = 0;
  const auto count = static_cast<int64_t>(channelState.size());
  const int64_t firstBlock = address / kInterleaveBytes;
  const int64_t lastBlock = (address + bytes - 1) / kInterleaveBytes;
  const int64_t offset = address % kInterleaveBytes;
  const int64_t endOffset = (address + bytes - 1) % kInterleaveBytes + 1;
  if (lastBlock == firstBlock) {
    int64_t group = firstBlock / count, base = group * kInterleaveBytes;
    size_t channel =
        (static_cast<size_t>(firstBlock % count) + rotation(group)) % channelState.size();
    accessChannel(channel, base + offset, base + endOffset, write, time, owner, done);
    return std::max(now, toCycles(done));
  }
  // Every channel has one block of each group of `count`, so its share is one range.
  const int64_t firstGroup = firstBlock / count, lastGroup = lastBlock / count;
  const auto firstRotation = static_cast<int64_t>(rotation(firstGroup));
  const auto lastRotation = static_cast<int64_t>(rotation(lastGroup));
  for (int64_t c = 0; c < count; ++c) {
    int64_t block = firstGroup * count + (c - firstRotation + count) % count;
    int64_t from = (firstGroup + (block < firstBlock ? 1 : 0)) * kInterleaveBytes +
                   (block == firstBlock ? offset : 0);
    block = lastGroup * count + (c - lastRotation + count) % count;
    int64_t to = block > lastBlock ? lastGroup * kInterleaveBytes
                                   : lastGroup * kInterleaveBytes +
                                         (block == lastBlock ? endOffset : kInterleaveBytes);
    if (from < to)
      accessChannel(static_cast<size_t>(c), from, to, write, time, owner, done);
  }
  return std::max(now, toCycles(done));
}

int64_t DramModel::flush(int64_t now) {
  Clock done = 0; // not the clock after `now`: without writes nothing is to be waited for
  for (Channel &channel : channelState) {
    drainIdle(channel, toClock(now));
    drainAll(channel, toClock(now));
    if (channel.writing)
      done = std::max(done, channel.busEnd);
  }
  return std::max(now, toCycles(done));
}

} // namespace npucc
