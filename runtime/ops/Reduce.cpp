//===- Reduce.cpp - ReduceSum and its relatives ---------------------------===//
//
// fp32 sums are fp32, in eight interleaved partial sums along contiguous rows.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

struct ReducePlan {
  Shape kept;  ///< the input's shape with 1 for reduced dimensions
  Shape shape; ///< the result's
  int64_t count = 1;
};

Expected<ReducePlan> planReduce(const Node &node, ArrayRef<int64_t> dims,
                                std::optional<ArrayRef<int64_t>> axes) {
  ReducePlan plan;
  plan.kept.assign(dims.begin(), dims.end());
  bool noop = node.getInt("noop_with_empty_axes", 0) != 0;
  bool keep = node.getInt("keepdims", 1) != 0;
  Shape list;
  if (axes && !axes->empty()) {
    NPUCC_TAKE(normal, normalizeAxes(*axes, static_cast<int64_t>(dims.size())));
    list = normal;
  } else if (!noop) {
    for (size_t d = 0; d < dims.size(); ++d)
      list.push_back(static_cast<int64_t>(d));
  }
  for (int64_t axis : list) {
    plan.count = plan.count < 0 || dims[axis] < 0 ? -1 : product({plan.count, dims[axis]});
    plan.kept[axis] = 1;
  }
  for (size_t d = 0; d < dims.size(); ++d)
    if (keep || !llvm::is_contained(list, static_cast<int64_t>(d)))
      plan.shape.push_back(plan.kept[d]);
  return plan;
}

// A reduction starts at start(), takes elements by step(), joins partial results
// by merge(), and ends with finish(value, count). A is the accumulator's type.
template <typename A> A wrapAdd(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <typename A> A wrapMul(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}
/// A function of floats on integers too; what no integer can hold saturates.
template <typename A, typename F> A throughFloat(A x, F f) {
  if constexpr (std::is_integral_v<A>) {
    double y = std::trunc(f(static_cast<double>(x)));
    return saturate<A>(y);
  } else {
    return f(x);
  }
}

struct Sum {
  template <typename A> static A start() { return 0; }
  template <typename A> static A step(A acc, A x) { return wrapAdd(acc, x); }
  template <typename A> static A merge(A a, A b) { return wrapAdd(a, b); }
  template <typename A> static A finish(A acc, int64_t) { return acc; }
};
struct Mean : Sum {
  template <typename A> static A finish(A acc, int64_t count) {
    return count ? acc / static_cast<A>(count) : A(0);
  }
};
struct SumSquare : Sum {
  template <typename A> static A step(A acc, A x) { return wrapAdd(acc, wrapMul(x, x)); }
};
struct L1 : Sum {
  template <typename A> static A step(A acc, A x) {
    return wrapAdd(acc, x < 0 ? wrapMul(x, A(-1)) : x);
  }
};
struct L2 : SumSquare {
  template <typename A> static A finish(A acc, int64_t) {
    return throughFloat(acc, [](auto x) { return std::sqrt(x); });
  }
};
struct LogSum : Sum {
  template <typename A> static A finish(A acc, int64_t) {
    return throughFloat(acc, [](auto x) { return std::log(x); });
  }
};
struct Prod {
  template <typename A> static A start() { return 1; }
  template <typename A> static A step(A acc, A x) { return wrapMul(acc, x); }
  template <typename A> static A merge(A a, A b) { return wrapMul(a, b); }
  template <typename A> static A finish(A acc, int64_t) { return acc; }
};
struct Max {
  template <typename A> static A start() {
    return std::is_floating_point_v<A> ? -std::numeric_limits<A>::infinity()
                                       : std::numeric_limits<A>::lowest();
  }
  template <typename A> static A step(A acc, A x) { return acc > x || acc != acc ? acc : x; }
  template <typename A> static A merge(A a, A b) { return step(a, b); }
  template <typename A> static A finish(A acc, int64_t) { return acc; }
};
struct Min {
  template <typename A> static A start() {
    return std::is_floating_point_v<A> ? std::numeric_limits<A>::infinity()
                                       : std::numeric_limits<A>::max();
  }
  template <typename A> static A step(A acc, A x) { return acc < x || acc != acc ? acc : x; }
  template <typename A> static A merge(A a, A b) { return step(a, b); }
  template <typename A> static A finish(A acc, int64_t) { return acc; }
};

/// Accumulators: floats as they are; integers as int64, which wraps, for what may
/// overflow, else as themselves.
template <typename T, typename Op>
using Accumulator = std::conditional_t<
    std::is_floating_point_v<T>, T,
    std::conditional_t<std::is_base_of_v<Sum, Op> || std::is_base_of_v<Prod, Op>, int64_t, T>>;

template <typename Op, typename T, typename A> A reduceRow(const T *x, int64_t n, A acc) {
  constexpr int kLanes = 8;
  int64_t i = 0;
  if (n >= 2 * kLanes) {
    A lanes[kLanes];
    std::fill_n(lanes, kLanes, Op::template start<A>());
    for (; i + kLanes <= n; i += kLanes)
      for (int l = 0; l < kLanes; ++l)
        lanes[l] = Op::template step<A>(lanes[l], static_cast<A>(x[i + l]));
    for (A lane : lanes)
      acc = Op::template merge<A>(acc, lane);
  }
  for (; i < n; ++i)
    acc = Op::template step<A>(acc, static_cast<A>(x[i]));
  return acc;
}

template <typename Op, typename T>
void reduce(const Tensor &x, const ReducePlan &plan, Tensor &out) {
  using A = Accumulator<T, Op>;
  std::vector<A> acc(out.size(), Op::template start<A>());
  Shape strides = rowMajorStrides(plan.kept);
  for (size_t d = 0; d < strides.size(); ++d)
    if (plan.kept[d] == 1)
      strides[d] = 0;
  const T *from = x.values<T>().data();
  Walk walk(x.shape(), strides);
  int64_t n = walk.rowLength(), step = walk.innerStride(0);
  walk.rows([&](const int64_t *offset, int64_t first) {
    A *target = acc.data() + offset[0];
    if (step == 0)
      *target = reduceRow<Op, T, A>(from + first, n, *target);
    else
      for (int64_t i = 0; i < n; ++i)
        target[i * step] = Op::template step<A>(target[i * step], static_cast<A>(from[first + i]));
  });
  T *to = out.mutableValues<T>().data();
  for (size_t i = 0; i < acc.size(); ++i)
    to[i] = static_cast<T>(Op::template finish<A>(acc[i], plan.count));
}

Expected<ReducePlan> planOf(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  if (!present(inputs, 1))
    return planReduce(node, inputs[0].shape(), std::nullopt);
  auto axes = ints(inputs[1]);
  return planReduce(node, inputs[0].shape(), ArrayRef<int64_t>(axes));
}

template <typename Op> Expected<Tensors> reduceKernel(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TAKE(plan, planOf(node, inputs));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(out, allocate(x.type(), plan.shape));
  ElementType type = x.type();
  if (type == ElementType::Bool && (std::is_same_v<Op, Max> || std::is_same_v<Op, Min>))
    type = ElementType::Uint8;
  if (!dispatchNumeric(type, [&](auto tag) { reduce<Op, decltype(tag)>(x, plan, out); }))
    return unsupportedType(x.type());
  return one(out);
}

/// log(sum(exp(x))), less the maximum for range.
Expected<Tensors> logSumExp(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TAKE(plan, planOf(node, inputs));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(out, allocate(x.type(), plan.shape));
  NPUCC_TAKE(most, allocate(x.type(), plan.shape));
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        reduce<Max, T>(x, plan, most);
        T *peak = most.template mutableValues<T>().data();
        for (int64_t i = 0; i < most.size(); ++i)
          peak[i] = std::isfinite(peak[i]) ? peak[i] : T(0);
        T *acc = out.mutableValues<T>().data();
        Walk walk = Walk::broadcasting(x.shape(), {ArrayRef<int64_t>(plan.kept)});
        walk.rows([&](const int64_t *offset, int64_t first) {
          for (int64_t i = 0; i < walk.rowLength(); ++i) {
            int64_t o = offset[0] + i * walk.innerStride(0);
            acc[o] += std::exp(x.values<T>()[first + i] - peak[o]);
          }
        });
        for (int64_t i = 0; i < out.size(); ++i)
          acc[i] = std::log(acc[i]) + peak[i];
      }))
    return unsupportedType(x.type());
  return one(out);
}

Error inferReduce(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  auto axes = constantInts(c, 1);
  if (!dims || (c.has(1) && !axes)) {
    bool keep = c.node.getInt("keepdims", 1) != 0;
    setOutput(c, 0, typeOf(c, 0),
              dims && keep ? std::optional<Shape>(unknown(static_cast<int64_t>(dims->size())))
                           : std::nullopt);
    return Error::success();
  }
  NPUCC_TAKE(plan, planReduce(c.node, *dims,
                              axes ? std::optional<ArrayRef<int64_t>>(*axes) : std::nullopt));
  setOutput(c, 0, typeOf(c, 0), plan.shape);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> reduceOps() {
  static const OpInfo table[] = {
      {"", "ReduceSum", 13, inferReduce, widened<reduceKernel<Sum>>},
      {"", "ReduceMean", 18, inferReduce, widened<reduceKernel<Mean>>},
      {"", "ReduceMax", 20, inferReduce, widened<reduceKernel<Max>>},
      {"", "ReduceMin", 20, inferReduce, widened<reduceKernel<Min>>},
      {"", "ReduceProd", 18, inferReduce, widened<reduceKernel<Prod>>},
      {"", "ReduceL1", 18, inferReduce, widened<reduceKernel<L1>>},
      {"", "ReduceL2", 18, inferReduce, widened<reduceKernel<L2>>},
      {"", "ReduceLogSum", 18, inferReduce, widened<reduceKernel<LogSum>>},
      {"", "ReduceLogSumExp", 18, inferReduce, widened<logSumExp>},
      {"", "ReduceSumSquare", 18, inferReduce, widened<reduceKernel<SumSquare>>},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::reductionOps() {
  static const std::vector<OpInfo> all =
      ops::join({ops::reduceOps(), ops::axisOps(), ops::lossOps()});
  return all;
}
