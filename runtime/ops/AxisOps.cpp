//===- AxisOps.cpp - Along one axis: Softmax, ArgMax, CumSum, TopK --------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

/// A tensor seen as [outer, length, inner] around an axis.
struct AxisView {
  int64_t axis, outer, length, inner;
};
Expected<AxisView> axisView(ArrayRef<int64_t> dims, int64_t axis) {
  NPUCC_TAKE(normal, normalizeAxis(axis, static_cast<int64_t>(dims.size())));
  return AxisView{normal, product(dims.take_front(normal)), dims[normal],
                  product(dims.drop_front(normal + 1))};
}

/// Calls f(first element of each line along the axis).
template <typename F> void forLines(const AxisView &v, F &&f) {
  for (int64_t o = 0; o < v.outer; ++o)
    for (int64_t i = 0; i < v.inner; ++i)
      f(o * v.length * v.inner + i);
}

//===----------------------------------------------------------------------===//
// Softmax, LogSoftmax, Hardmax
//===----------------------------------------------------------------------===//

enum class Soft { Plain, Log, Hard };

template <Soft Mode, typename T> void softLine(const T *x, T *y, int64_t n, int64_t step) {
  T most = x[0];
  int64_t place = 0;
  for (int64_t i = 1; i < n; ++i)
    if (x[i * step] > most) {
      most = x[i * step];
      place = i;
    }
  if (Mode == Soft::Hard) {
    y[place * step] = 1; // the result starts as zeros
    return;
  }
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    T e = std::exp(x[i * step] - most);
    sum += e;
    y[i * step] = Mode == Soft::Log ? x[i * step] - most : e;
  }
  T scale = Mode == Soft::Log ? std::log(sum) : T(1) / sum;
  for (int64_t i = 0; i < n; ++i)
    y[i * step] = Mode == Soft::Log ? y[i * step] - scale : y[i * step] * scale;
}

template <Soft Mode> Expected<Tensors> softmax(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(view, axisView(x.shape(), node.getInt("axis", -1)));
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  if (out.size() == 0)
    return one(out);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        forLines(view,
                 [&](int64_t i) { softLine<Mode, T>(from + i, to + i, view.length, view.inner); });
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferAxis(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  NPUCC_TRY(allFloat(c));
  if (auto dims = dimsOf(c, 0)) {
    NPUCC_TAKE(axis, normalizeAxis(c.node.getInt("axis", -1), static_cast<int64_t>(dims->size())));
    (void)axis;
  }
  return sameAsFirst(c);
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

Expected<Shape> argShape(const Node &node, ArrayRef<int64_t> dims) {
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 0), static_cast<int64_t>(dims.size())));
  Shape shape(dims.begin(), dims.end());
  if (node.getInt("keepdims", 1))
    shape[axis] = 1;
  else
    shape.erase(shape.begin() + axis);
  return shape;
}
template <bool Largest> Expected<Tensors> argBest(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(view, axisView(x.shape(), node.getInt("axis", 0)));
  NPUCC_TAKE(shape, argShape(node, x.shape()));
  NPUCC_TAKE(out, allocate(ElementType::Int64, shape));
  if (view.length == 0 && out.size())
    return fail("axis " + Twine(view.axis) + " of " + text(x.shape()) + " is empty");
  bool last = node.getInt("select_last_index", 0) != 0;
  int64_t *to = out.mutableValues<int64_t>().data();
  if (!dispatchNumeric(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        forLines(view, [&](int64_t start) {
          int64_t best = 0;
          for (int64_t i = 1; i < view.length; ++i) {
            T value = from[start + i * view.inner], record = from[start + best * view.inner];
            bool better = Largest ? value > record : value < record;
            if (better || (last && value == record))
              best = i;
          }
          *to++ = best;
        });
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferArg(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  if (auto dims = dimsOf(c, 0))
    return setShape(c, ElementType::Int64, argShape(c.node, *dims));
  setOutput(c, 0, ElementType::Int64);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// CumSum
//===----------------------------------------------------------------------===//

Expected<Tensors> cumSum(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  if (inputs[1].size() != 1)
    return fail("axis must be a scalar");
  NPUCC_TAKE(view, axisView(x.shape(), inputs[1].asInt(0)));
  bool exclusive = node.getInt("exclusive", 0) != 0, reverse = node.getInt("reverse", 0) != 0;
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  if (!dispatchNumeric(x.type(), [&](auto tag) {
        using T = decltype(tag);
        // Integers wrap.
        using A = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        forLines(view, [&](int64_t start) {
          A sum = 0;
          for (int64_t k = 0; k < view.length; ++k) {
            int64_t i = start + (reverse ? view.length - 1 - k : k) * view.inner;
            A next = sum + static_cast<A>(from[i]);
            to[i] = static_cast<T>(exclusive ? sum : next);
            sum = next;
          }
        });
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferCumSum(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  return sameAsFirst(c);
}

//===----------------------------------------------------------------------===//
// TopK
//===----------------------------------------------------------------------===//

Expected<Shape> topKShape(const Node &node, ArrayRef<int64_t> dims, int64_t k) {
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", -1), static_cast<int64_t>(dims.size())));
  if (k >= 0 && dims[axis] >= 0 && k > dims[axis])
    return fail("k " + Twine(k) + " exceeds dimension " + Twine(dims[axis]));
  Shape shape(dims.begin(), dims.end());
  shape[axis] = k;
  return shape;
}
Expected<Tensors> topK(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  if (inputs[1].size() != 1 || inputs[1].asInt(0) < 0)
    return fail("k must be one number that is not negative");
  int64_t k = inputs[1].asInt(0);
  NPUCC_TAKE(shape, topKShape(node, x.shape(), k));
  NPUCC_TAKE(view, axisView(x.shape(), node.getInt("axis", -1)));
  bool largest = node.getInt("largest", 1) != 0;
  NPUCC_TAKE(values, allocate(x.type(), shape));
  NPUCC_TAKE(indices, allocate(ElementType::Int64, shape));
  if (!dispatchNumeric(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = values.template mutableValues<T>().data();
        int64_t *place = indices.mutableValues<int64_t>().data();
        std::vector<int64_t> order(view.length);
        int64_t line = 0;
        forLines(view, [&](int64_t start) {
          for (int64_t i = 0; i < view.length; ++i)
            order[i] = i;
          // NaN counts as greater than all numbers; ties go to the lower index.
          auto before = [&](int64_t a, int64_t b) {
            T p = from[start + a * view.inner], q = from[start + b * view.inner];
            bool more = p > q || (p != p && q == q), less = q > p || (q != q && p == p);
            return more == less ? a < b : more == largest;
          };
          std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
          int64_t base = line / view.inner * k * view.inner + line % view.inner;
          for (int64_t i = 0; i < k; ++i) {
            to[base + i * view.inner] = from[start + order[i] * view.inner];
            place[base + i * view.inner] = order[i];
          }
          ++line;
        });
      }))
    return unsupportedType(x.type());
  Tensors results = one(values);
  results.push_back(indices);
  return results;
}
Error inferTopK(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  if (dims) {
    const Tensor *k = c.constant(1);
    NPUCC_TAKE(shape, topKShape(c.node, *dims, k && k->size() == 1 ? k->asInt(0) : -1));
    dims = shape;
  }
  setOutput(c, 0, typeOf(c, 0), dims);
  setOutput(c, 1, ElementType::Int64, dims);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> axisOps() {
  static const OpInfo table[] = {
      {"", "Softmax", 13, inferAxis, widened<softmax<Soft::Plain>>},
      {"", "LogSoftmax", 13, inferAxis, widened<softmax<Soft::Log>>},
      {"", "Hardmax", 13, inferAxis, widened<softmax<Soft::Hard>>},
      {"", "ArgMax", 13, inferArg, widened<argBest<true>>},
      {"", "ArgMin", 13, inferArg, widened<argBest<false>>},
      {"", "CumSum", 14, inferCumSum, widened<cumSum>},
      {"", "TopK", 11, inferTopK, widened<topK>},
  };
  return table;
}

} // namespace npucc::ops
