//===- Plan.cpp - Residency, tilings, addresses -------------------------------===//

#include "compiler/schedule/Plan.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::Machine;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

namespace {

/// First-fit placement of blocks with lifetimes (in groups, inclusive).
class Arena {
public:
  explicit Arena(int64_t capacity) : capacity(capacity) {}

  int64_t place(int64_t bytes, int first, int last) {
    SmallVector<std::pair<int64_t, int64_t>> busy;
    for (const Block &b : blocks)
      if (b.first <= last && first <= b.last)
        busy.push_back({b.address, b.address + b.bytes});
    llvm::sort(busy);
    int64_t address = 0;
    for (auto &[begin, end] : busy) {
      if (begin - address >= bytes)
        break;
      address = std::max(address, end);
    }
    if (address + bytes > capacity)
      return -1;
    blocks.push_back({address, bytes, first, last});
    high = std::max(high, address + bytes);
    return address;
  }
  int64_t used(int group) const {
    int64_t sum = 0;
    for (const Block &b : blocks)
      if (b.first <= group && group <= b.last)
        sum += b.bytes;
    return sum;
  }
  size_t mark() const { return blocks.size(); }
  void release(size_t mark) { blocks.resize(mark); }
  int64_t highWater() const { return high; }

private:
  struct Block {
    int64_t address, bytes;
    int first, last;
  };
  std::vector<Block> blocks;
  int64_t capacity, high = 0;
};

class Planner {
public:
  Planner(func::FuncOp function, StorageMap &storages, const Machine &machine)
      : function(function), storages(storages), machine(machine) {}
  FailureOr<Plan> run();

private:
  void lifetimes(const std::vector<Group> &groups);
  void chooseResidents(Arena &arena, int groups);
  enum class Outcome { Done, Evict, Split, Fail };
  Outcome scheduleGroup(Plan &plan, int g, Arena &arena);
  bool placeTiles(TiledGroup &t, int g, Arena &arena);

  func::FuncOp function;
  StorageMap &storages;
  const Machine &machine;
  llvm::DenseSet<Operation *> alone;
  llvm::DenseSet<Storage *> spilled;
  int64_t needed = 0;
};

void Planner::lifetimes(const std::vector<Group> &groups) {
  for (Storage &s : storages.all()) {
    s.firstGroup = 1 << 30;
    s.lastGroup = -1;
  }
  auto touch = [&](Storage *s, int g) {
    s->firstGroup = std::min(s->firstGroup, g);
    s->lastGroup = std::max(s->lastGroup, g);
  };
  for (auto [g, group] : llvm::enumerate(groups)) {
    if (group.host) {
      for (Value v : group.host->getOperands())
        if (storages.has(v)) {
          touch(storages.view(v).storage, g);
          spilled.insert(storages.view(v).storage); // the control core works in DRAM
        }
      for (Value v : group.host->getResults())
        if (storages.has(v)) {
          touch(storages.view(v).storage, g);
          spilled.insert(storages.view(v).storage);
        }
      continue;
    }
    for (const GroupOp &op : group.ops)
      for (const OpInput &input : op.inputs)
        if (input.producer < 0 && !input.shapeOnly)
          touch(storages.view(input.value).storage, g);
    touch(storages.view(group.root().op->getResult(0)).storage, g);
  }
}

/// Short-lived tensors first: they save the same traffic for less scratchpad time. A tenth is
/// left for tiles; a group that needs more evicts later.
void Planner::chooseResidents(Arena &arena, int groups) {
  int64_t limit = machine.scratchpad.bytes * 9 / 10;
  SmallVector<Storage *> candidates;
  for (Storage &s : storages.all()) {
    s.resident = false;
    s.address = -1;
    if (s.kind == Storage::Kind::Intermediate && s.lastGroup >= 0 && !spilled.count(&s) &&
        s.bytes <= limit)
      candidates.push_back(&s);
  }
  llvm::stable_sort(candidates, [](Storage *x, Storage *y) {
    auto key = [](Storage *s) {
      return std::pair<int64_t, int64_t>(s->lastGroup - s->firstGroup, s->bytes);
    };
    return key(x) < key(y);
  });
  std::vector<int64_t> load(groups, 0);
  SmallVector<Storage *> chosen;
  for (Storage *s : candidates) {
    bool fits = true;
    for (int g = s->firstGroup; g <= s->lastGroup; ++g)
      fits &= load[g] + s->bytes <= limit;
    if (!fits)
      continue;
    for (int g = s->firstGroup; g <= s->lastGroup; ++g)
      load[g] += llvm::alignTo(s->bytes, 64);
    chosen.push_back(s);
  }
  // Large blocks first: less fragmentation.
  llvm::stable_sort(chosen, [](Storage *x, Storage *y) { return x->bytes > y->bytes; });
  for (Storage *s : chosen) {
    s->address = arena.place(llvm::alignTo(s->bytes, 64), s->firstGroup, s->lastGroup);
    s->resident = s->address >= 0;
  }
}

bool Planner::placeTiles(TiledGroup &t, int g, Arena &arena) {
  size_t mark = arena.mark();
  int64_t acc = 0;
  for (Tile &tile : t.tiles) {
    if (tile.space == npu::MemSpace::Acc) {
      tile.address = acc;
      acc += tile.bytes * tile.slots;
      continue;
    }
    if (tile.constant)
      continue;
    tile.address = arena.place(tile.bytes * tile.slots, g, g);
    if (tile.address < 0) {
      arena.release(mark);
      return false;
    }
  }
  // Constants: fetched ahead and deeper where there is room.
  for (Tile &tile : t.tiles) {
    if (!tile.constant)
      continue;
    int64_t executions = t.executions(tile.level);
    int64_t room = machine.scratchpad.bytes * 2 / 5;
    SmallVector<int64_t> depths;
    for (int64_t slots : {8, 6, 4, 3})
      if (slots > tile.slots && executions >= slots && slots * tile.bytes <= room)
        depths.push_back(slots);
    if (tile.slots > 1 && executions > tile.slots && executions < 8 &&
        executions * tile.bytes <= room)
      depths.insert(depths.begin(), executions);
    depths.push_back(tile.slots);
    tile.address = -1;
    for (int first : {g - 1, g}) {
      for (int64_t slots : depths) {
        tile.address = arena.place(tile.bytes * slots, std::max(first, 0), g);
        if (tile.address >= 0) {
          tile.slots = slots;
          break;
        }
      }
      if (tile.address >= 0)
        break;
    }
    if (tile.address < 0) {
      arena.release(mark);
      return false;
    }
  }
  return true;
}

Planner::Outcome Planner::scheduleGroup(Plan &plan, int g, Arena &arena) {
  Group &group = plan.groups[g];
  int64_t available = machine.scratchpad.bytes - arena.used(g);
  int64_t smallest = 0;
  // Leave room for the next group's weights; if need be take all.
  for (double share : {0.6, 0.8, 1.0, 0.75, 0.5, 0.35, 0.2, 0.1}) {
    FailureOr<TiledGroup> t =
        search(group, storages, machine, int64_t(available * share), smallest);
    if (failed(t)) {
      if (share >= 1.0)
        break;
      continue;
    }
    if (placeTiles(*t, g, arena)) {
      plan.tiled[g] = std::move(*t);
      return Outcome::Done;
    }
  }
  needed = smallest;
  Storage *largest = nullptr;
  for (Storage &s : storages.all())
    if (s.resident && s.firstGroup <= g && g <= s.lastGroup &&
        (!largest || s.bytes > largest->bytes))
      largest = &s;
  if (largest) {
    spilled.insert(largest);
    return Outcome::Evict;
  }
  if (group.ops.size() > 1) {
    for (GroupOp &op : group.ops)
      alone.insert(op.op);
    return Outcome::Split;
  }
  return Outcome::Fail;
}

FailureOr<Plan> Planner::run() {
  while (true) {
    FailureOr<std::vector<Group>> groups = formGroups(function, storages, machine, alone);
    if (failed(groups))
      return failure();
    Plan plan;
    plan.groups = std::move(*groups);
    bool again = true;
    while (again) {
      again = false;
      lifetimes(plan.groups);
      Arena arena(machine.scratchpad.bytes);
      chooseResidents(arena, plan.groups.size());
      plan.tiled.assign(plan.groups.size(), {});
      plan.cycles = 0;
      bool split = false;
      for (int g = 0; g < int(plan.groups.size()); ++g) {
        if (plan.groups[g].host)
          continue;
        Outcome outcome = scheduleGroup(plan, g, arena);
        if (outcome == Outcome::Evict) {
          again = true;
          break;
        }
        if (outcome == Outcome::Split) {
          split = true;
          break;
        }
        if (outcome == Outcome::Fail) {
          Operation *op = plan.groups[g].root().op;
          op->emitError("needs ") << needed << " bytes of scratchpad at the least for one tile; '"
                                  << machine.name << "' has " << machine.scratchpad.bytes
                                  << ". Use a machine with a larger scratchpad";
          return failure();
        }
        plan.cycles += plan.tiled[g].cycles;
        plan.accBytes = std::max(plan.accBytes, plan.tiled[g].accBytes);
      }
      plan.spmBytes = arena.highWater();
      if (split) {
        again = false;
        plan.groups.clear();
      }
    }
    if (!plan.groups.empty() || function.getBody().front().without_terminator().empty())
      return plan;
    if (plan.groups.empty() && alone.empty())
      return plan;
  }
}

} // namespace

FailureOr<Plan> schedule::makePlan(func::FuncOp function, StorageMap &storages,
                                   const Machine &machine) {
  return Planner(function, storages, machine).run();
}
