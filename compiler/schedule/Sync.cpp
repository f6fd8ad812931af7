//===- Sync.cpp - npu-sync: counting semaphores between engines ---------------===//
//
// Inside a loop nest, semaphores follow from the ring buffers: see docs/synchronisation.md
// (phases of a buffer at the innermost block that holds all its users). Between top-level
// ops ("items"), they follow from overlapping bytes, whatever buffer they belong to, so that
// reuse of addresses is ordered by the same rule as data. A wait that an earlier wait already
// implies is not made: per engine, a clock says which items of each engine are known complete.
//
//===----------------------------------------------------------------------===//

#include "compiler/Passes.h"
#include "compiler/npu/NpuDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace npucc {
#define GEN_PASS_DEF_NPUSYNC
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
using namespace npucc::npu;

namespace {

struct Use {
  Value memref;
  bool write;
};

/// The engine of a command; null for anything else.
EngineAttr engineOf(Operation *op) {
  auto make = [&](StreamKind kind) { return EngineAttr::get(op->getContext(), kind, 0); };
  if (auto load = dyn_cast<LoadOp>(op))
    return load.getEngine();
  if (auto store = dyn_cast<StoreOp>(op))
    return store.getEngine();
  if (isa<MatrixOp>(op))
    return make(StreamKind::Matrix);
  if (isa<VectorOp>(op))
    return make(StreamKind::Vector);
  if (isa<HostOp>(op))
    return make(StreamKind::Control);
  return {};
}

void usesOf(Operation *op, SmallVectorImpl<Use> &uses) {
  if (auto load = dyn_cast<LoadOp>(op)) {
    uses.push_back({load.getSource(), false});
    uses.push_back({load.getTarget(), true});
  } else if (auto store = dyn_cast<StoreOp>(op)) {
    uses.push_back({store.getSource(), false});
    uses.push_back({store.getTarget(), true});
  } else if (auto matrix = dyn_cast<MatrixOp>(op)) {
    uses.push_back({matrix.getA(), false});
    uses.push_back({matrix.getB(), false});
    uses.push_back({matrix.getAcc(), true});
    for (Value v : matrix.getParams())
      uses.push_back({v, false});
    if (matrix.getOut())
      uses.push_back({matrix.getOut(), true});
  } else if (auto vector = dyn_cast<VectorOp>(op)) {
    for (Value v : vector.getInputs())
      uses.push_back({v, false});
    for (Value v : vector.getOutputs())
      uses.push_back({v, true});
  } else if (auto host = dyn_cast<HostOp>(op)) {
    for (Value v : host.getInputs())
      if (isa<MemRefType>(v.getType()))
        uses.push_back({v, false});
    for (Value v : host.getOutputs())
      if (isa<MemRefType>(v.getType()))
        uses.push_back({v, true});
  }
}

class Sync {
public:
  explicit Sync(func::FuncOp function) : function(function), builder(function.getContext()) {}
  void run() {
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front()))
      if (isa<scf::ForOp>(op))
        nest(&op);
    items();
    SmallVector<int64_t> counts(initial);
    function->setAttr("npu.semaphores", builder.getDenseI64ArrayAttr(counts));
  }

private:
  int64_t semaphore(int64_t count) {
    initial.push_back(count);
    return initial.size() - 1;
  }
  void wait(Operation *before, int64_t s, EngineAttr engine) {
    builder.setInsertionPoint(before);
    WaitOp::create(builder, before->getLoc(), s, engine, false);
  }
  void signal(Operation *after, int64_t s, EngineAttr engine) {
    builder.setInsertionPointAfter(after);
    SignalOp::create(builder, after->getLoc(), s, engine);
  }
  void nest(Operation *root);
  void items();

  func::FuncOp function;
  OpBuilder builder;
  SmallVector<int64_t> initial;
  SmallVector<Operation *> order; ///< items
  /// Forward semaphores of nests (count 0 at start): who signals.
  DenseMap<int64_t, EngineAttr> signaller;
};

/// What the ring semaphores of one nest tell an engine about others.
struct NestOrder {
  /// All its commands come after a wait for them: their earlier items are complete.
  llvm::SmallSetVector<EngineAttr, 4> before;
  /// It waits for their last signal, behind which they do nothing more: complete with it.
  llvm::SmallSetVector<EngineAttr, 4> after;
};

int64_t tripsOf(scf::ForOp loop) {
  std::optional<APInt> trips = loop.getStaticTripCount();
  return trips ? trips->getSExtValue() : 1;
}

struct Phase {
  EngineAttr engine;
  Operation *first, *last; ///< children of the block
  bool operator==(const Phase &o) const {
    return engine == o.engine && first == o.first && last == o.last;
  }
};

/// Buffers of one block with the same users share their semaphores.
struct Chain {
  SmallVector<Phase, 3> phases;
  int64_t slots;
  int64_t executions;
  SmallVector<Value> buffers;
};

void Sync::nest(Operation *root) {
  // Users of each buffer inside this nest.
  llvm::MapVector<Value, SmallVector<Operation *>> users;
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    SmallVector<Use> uses;
    usesOf(op, uses);
    for (const Use &use : uses) {
      Value buffer = rootOf(use.memref);
      auto def = buffer.getDefiningOp<BufferOp>();
      if (def && spaceOf(cast<MemRefType>(buffer.getType())) != MemSpace::Dram &&
          (users[buffer].empty() || users[buffer].back() != op))
        users[buffer].push_back(op);
    }
  });
  llvm::MapVector<Block *, SmallVector<Chain>> chains;
  for (auto &entry : users) {
    Value buffer = entry.first;
    ArrayRef<Operation *> ops = entry.second;
    // Only buffers that live inside: all users in this nest.
    size_t total = 0;
    bool inside = true;
    SmallVector<Value> work{buffer};
    while (!work.empty()) {
      Value v = work.pop_back_val();
      for (Operation *user : v.getUsers()) {
        if (auto view = dyn_cast<ViewOp>(user))
          work.push_back(view.getResult());
        else if (!isa<AdvanceOp>(user))
          inside &= root->isProperAncestor(user), ++total;
      }
    }
    if (!inside || total == 0)
      continue;
    Block *block = ops.front()->getBlock();
    auto holdsAll = [&] {
      return llvm::all_of(ops, [&](Operation *op) { return block->findAncestorOpInBlock(*op); });
    };
    while (!holdsAll())
      block = block->getParentOp()->getBlock();
    Chain chain;
    chain.slots = buffer.getDefiningOp<BufferOp>().getSlots();
    chain.executions = 1;
    for (Operation *op = block->getParentOp(); op != function; op = op->getParentOp())
      if (auto loop = dyn_cast<scf::ForOp>(op))
        chain.executions *= tripsOf(loop);
    chain.buffers.push_back(buffer);
    for (Operation *op : ops) {
      Operation *child = block->findAncestorOpInBlock(*op);
      EngineAttr engine = engineOf(op);
      if (!chain.phases.empty() && chain.phases.back().engine == engine)
        chain.phases.back().last = child;
      else
        chain.phases.push_back({engine, child, child});
    }
    // Join a chain with the same later phases and the same first engine.
    bool joined = false;
    for (Chain &other : chains[block]) {
      if (other.phases.size() != chain.phases.size() || chain.phases.size() < 2 ||
          other.phases[0].engine != chain.phases[0].engine ||
          !llvm::equal(llvm::drop_begin(other.phases), llvm::drop_begin(chain.phases)))
        continue;
      Phase &a = other.phases[0], &b = chain.phases[0];
      if (b.first->isBeforeInBlock(a.first))
        a.first = b.first;
      if (a.last->isBeforeInBlock(b.last))
        a.last = b.last;
      other.slots = std::min(other.slots, chain.slots);
      other.buffers.push_back(buffer);
      joined = true;
      break;
    }
    if (!joined)
      chains[block].push_back(chain);
  }
  for (auto &[block, list] : chains)
    for (Chain &chain : list) {
      ArrayRef<Phase> phases = chain.phases;
      for (size_t i = 0; i + 1 < phases.size(); ++i) {
        int64_t s = semaphore(0);
        signal(phases[i].last, s, phases[i].engine);
        wait(phases[i + 1].first, s, phases[i + 1].engine);
        signaller[s] = phases[i].engine;
      }
      if (phases.size() > 1 && phases.back().engine != phases.front().engine &&
          chain.executions > chain.slots) {
        int64_t s = semaphore(chain.slots);
        wait(phases.front().first, s, phases.front().engine);
        signal(phases.back().last, s, phases.back().engine);
      }
      for (Value buffer : chain.buffers) {
        if (buffer.getDefiningOp<BufferOp>().getSlots() == 1)
          continue;
        llvm::SmallSetVector<EngineAttr, 4> seen;
        for (const Phase &phase : phases)
          if (seen.insert(phase.engine)) {
            builder.setInsertionPoint(phase.first);
            AdvanceOp::create(builder, phase.first->getLoc(), buffer, phase.engine);
          }
      }
    }
}

/// Bytes that an item touches on an engine.
struct Range {
  const void *memory; ///< a space's tag, or a DRAM buffer
  int64_t begin, end;
  bool write;
};

struct Record {
  Range range;
  int item, engine;
};

static llvm::MapVector<EngineAttr, NestOrder>
nestOrder(Operation *item, const DenseMap<int64_t, EngineAttr> &signaller) {
  llvm::MapVector<EngineAttr, NestOrder> result;
  llvm::DenseSet<EngineAttr> started;                 // has had a command
  DenseMap<EngineAttr, llvm::DenseSet<int64_t>> last; // signals behind its last command
  DenseMap<int64_t, EngineAttr> waiter;
  item->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto wait = dyn_cast<WaitOp>(op)) {
      auto from = signaller.find(wait.getSemaphore());
      if (from == signaller.end())
        return;
      waiter[wait.getSemaphore()] = wait.getEngine();
      if (!started.contains(wait.getEngine()))
        result[wait.getEngine()].before.insert(from->second);
    } else if (auto signal = dyn_cast<SignalOp>(op)) {
      last[signal.getEngine()].insert(signal.getSemaphore());
    } else if (EngineAttr engine = engineOf(op)) {
      started.insert(engine);
      last[engine].clear();
    }
  });
  for (auto &[engine, signals] : last)
    for (int64_t s : signals)
      if (auto to = waiter.find(s); to != waiter.end() && signaller.lookup(s) == engine)
        result[to->second].after.insert(engine);
  return result;
}

void Sync::items() {
  SmallVector<EngineAttr> engines;
  auto engineId = [&](EngineAttr engine) {
    for (size_t i = 0; i < engines.size(); ++i)
      if (engines[i] == engine)
        return int(i);
    engines.push_back(engine);
    return int(engines.size()) - 1;
  };
  static const char spmTag = 0, accTag = 0;
  auto rangeOf = [&](Value memref, bool write) {
    Value root = rootOf(memref);
    auto type = cast<MemRefType>(memref.getType());
    SmallVector<int64_t> strides;
    int64_t offset;
    staticStrides(type, strides, offset);
    Range range;
    range.write = write;
    range.begin = offset * elementBytes(type.getElementType());
    range.end = range.begin + spanBytes(type);
    range.memory = root.getAsOpaquePointer();
    MemSpace space = spaceOf(type);
    if (space == MemSpace::Dram)
      return range;
    range.memory = space == MemSpace::Spm ? &spmTag : &accTag;
    auto buffer = root.getDefiningOp<BufferOp>();
    int64_t address = buffer.getAddress().value_or(0);
    if (buffer.getSlots() > 1 || buffer->hasAttr("slot_bytes")) {
      auto slot = buffer->getAttrOfType<IntegerAttr>("slot_bytes");
      range.begin = 0;
      range.end = buffer.getSlots() * (slot ? slot.getInt() : spanBytes(type));
    }
    range.begin += address;
    range.end += address;
    return range;
  };

  order.clear();
  for (Operation &op : function.getBody().front())
    if (isa<scf::ForOp>(op) || engineOf(&op))
      order.push_back(&op);

  std::vector<Record> records;
  // clock[e][f]: the last item of engine f known complete when engine e goes on.
  std::vector<std::vector<int>> clock;
  std::vector<std::map<int, std::vector<int>>> after; // engine -> item -> clock behind it
  auto grow = [&] {
    clock.resize(engines.size());
    after.resize(engines.size());
    for (auto &c : clock)
      c.resize(engines.size(), -1);
  };
  // Data passes load, matrix, vector, store.
  auto rank = [](EngineAttr engine) {
    return engine.getKind() == StreamKind::Store ? 10 : int(engine.getKind());
  };
  struct Edge {
    int fromItem, fromEngine, toItem, toEngine;
  };
  std::vector<Edge> edges;
  for (int item = 0; item < int(order.size()); ++item) {
    llvm::MapVector<int, SmallVector<Range>> touched;
    order[item]->walk<WalkOrder::PreOrder>([&](Operation *op) {
      EngineAttr engine = engineOf(op);
      if (!engine)
        return;
      SmallVector<Use> uses;
      usesOf(op, uses);
      auto &ranges = touched[engineId(engine)];
      for (const Use &use : uses)
        if (!rootOf(use.memref).getDefiningOp<ConstantOp>() &&
            !rootOf(use.memref).getDefiningOp<InputOp>())
          ranges.push_back(rangeOf(use.memref, use.write));
    });
    grow();
    auto order = nestOrder(this->order[item], signaller);
    std::vector<int> done; // engines of this item whose clock at its start is known
    auto join = [&](int engine, const std::vector<int> &known) {
      for (size_t f = 0; f < known.size(); ++f)
        clock[engine][f] = std::max(clock[engine][f], known[f]);
    };
    for (auto &[engine, ranges] : touched) {
      for (EngineAttr other : order[engines[engine]].before) {
        int f = engineId(other);
        if (!llvm::is_contained(done, f))
          continue;
        join(engine, clock[f]);
        clock[engine][f] = std::max(clock[engine][f], item - 1);
      }
      done.push_back(engine);
      std::vector<int> needed(engines.size(), -1);
      for (const Record &record : records) {
        if (record.engine == engine)
          continue;
        for (const Range &range : ranges)
          if (range.memory == record.range.memory && range.begin < record.range.end &&
              record.range.begin < range.end && (range.write || record.range.write))
            needed[record.engine] = std::max(needed[record.engine], record.item);
      }
      while (true) {
        // The latest needed item first, and in one item the engine furthest down its chain: its
        // clock may bring the others.
        int from = -1;
        for (int f = 0; f < int(engines.size()); ++f)
          if (needed[f] > clock[engine][f] &&
              (from < 0 || needed[f] > needed[from] ||
               (needed[f] == needed[from] && rank(engines[f]) > rank(engines[from]))))
            from = f;
        if (from < 0)
          break;
        edges.push_back({needed[from], from, item, engine});
        join(engine, after[from][needed[from]]);
      }
    }
    for (auto &entry : touched) {
      int engine = entry.first;
      ArrayRef<Range> ranges = entry.second;
      for (EngineAttr other : order[engines[engine]].after) {
        int f = engineId(other);
        if (after[f].count(item)) {
          join(engine, after[f][item]);
          clock[engine][f] = item;
        }
      }
      clock[engine][engine] = item;
      after[engine][item] = clock[engine];
      for (const Range &range : ranges) {
        if (range.write)
          // A write that covers an older access stands for it from now on: it is ordered
          // behind it. (Not for another engine's access in this same item.)
          llvm::erase_if(records, [&](const Record &r) {
            return r.range.memory == range.memory && range.begin <= r.range.begin &&
                   r.range.end <= range.end && r.item < item;
          });
        bool known = llvm::any_of(records, [&](const Record &r) {
          return r.item == item && r.engine == engine && r.range.memory == range.memory &&
                 r.range.begin == range.begin && r.range.end == range.end &&
                 (r.range.write || !range.write);
        });
        if (!known)
          records.push_back({range, item, engine});
      }
    }
  }
  for (const Edge &edge : edges) {
    int64_t s = semaphore(0);
    signal(order[edge.fromItem], s, engines[edge.fromEngine]);
    wait(order[edge.toItem], s, engines[edge.toEngine]);
  }
}

struct NpuSync : public npucc::impl::NpuSyncBase<NpuSync> {
  void runOnOperation() override { Sync(getOperation()).run(); }
};

} // namespace
