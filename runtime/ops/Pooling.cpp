//===- Pooling.cpp - MaxPool, AveragePool, LpPool, Global*, MaxUnpool -----===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Window.h"

namespace npucc::ops {
namespace {

Expected<Window> poolWindow(const Node &node, ArrayRef<int64_t> dims) {
  if (dims.size() < 3)
    return fail("needs rank 3 or more, not " + text(dims));
  if (!node.has("kernel_shape"))
    return fail("attribute 'kernel_shape' is missing");
  std::vector<int64_t> kernel = node.getInts("kernel_shape");
  for (int64_t k : kernel)
    if (k < 1)
      return fail("kernel_shape " + text(kernel) + " is not positive");
  return slidingWindow(node, dims.drop_front(2), kernel);
}

Shape pooledShape(ArrayRef<int64_t> dims, const Window &w) {
  Shape shape(dims.begin(), dims.begin() + 2);
  shape.append(w.out.begin(), w.out.end());
  return shape;
}

template <typename T>
void maxPool(const Window &w, const T *x, int64_t planes, T *y, int64_t *index, bool columnMajor) {
  int64_t inSize = w.inSize(), outSize = w.outSize();
  T lowest = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                         : std::numeric_limits<T>::lowest();
  for (int64_t plane = 0; plane < planes; ++plane) {
    const T *source = x + plane * inSize;
    T *target = y + plane * outSize;
    std::fill_n(target, outSize, lowest);
    if (!index) {
      forTapRows(w, [&](int64_t, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
        T *row = target + start;
        const T *from = source + base;
        if (sx == 1)
          for (int64_t o = lo; o < hi; ++o)
            row[o] = std::max(row[o], from[o]);
        else
          for (int64_t o = lo; o < hi; ++o)
            row[o] = std::max(row[o], from[o * sx]);
      });
      continue;
    }
    int64_t *place = index + plane * outSize;
    std::fill_n(place, outSize, -1);
    forTapRows(w, [&](int64_t, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
      for (int64_t o = lo; o < hi; ++o) {
        int64_t from = base + o * sx;
        if (place[start + o] < 0 || source[from] > target[start + o]) {
          target[start + o] = source[from];
          place[start + o] = from;
        }
      }
    });
    for (int64_t o = 0; o < outSize; ++o) {
      int64_t from = std::max<int64_t>(place[o], 0);
      if (columnMajor && inSize) { // storage_order 1: spatial dimensions counted first to last
        int64_t flipped = 0, scale = 1;
        Shape position(w.in.size(), 0);
        for (size_t d = w.in.size(); d-- > 0; from /= w.in[d])
          position[d] = from % w.in[d];
        for (size_t d = 0; d < w.in.size(); scale *= w.in[d++])
          flipped += position[d] * scale;
        from = flipped;
      }
      place[o] = plane * inSize + from;
    }
  }
}

Expected<Tensors> maxPoolKernel(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(window, poolWindow(node, x.shape()));
  NPUCC_TAKE(out, allocate(x.type(), pooledShape(x.shape(), window)));
  Tensors results = one(out);
  int64_t *index = nullptr;
  if (node.outputs.size() > 1) {
    NPUCC_TAKE(places, allocate(ElementType::Int64, out.shape()));
    index = places.mutableValues<int64_t>().data();
    results.push_back(places);
  }
  int64_t planes = x.shape()[0] * x.shape()[1];
  if (!dispatchNumeric(x.type(), [&](auto tag) {
        using T = decltype(tag);
        maxPool<T>(window, x.values<T>().data(), planes, out.mutableValues<T>().data(), index,
                   node.getInt("storage_order", 0) != 0);
      }))
    return unsupportedType(x.type());
  return results;
}

/// Input elements (and padding where it counts) of each window.
std::vector<int64_t> windowCounts(const Window &w, bool includePad) {
  std::vector<int64_t> counts(w.outSize(), 1);
  for (size_t o = 0; o < counts.size(); ++o)
    for (int64_t d = w.rank(), rest = static_cast<int64_t>(o); d-- > 0; rest /= w.out[d]) {
      int64_t start = rest % w.out[d] * w.stride[d] - w.padBegin[d];
      int64_t low = includePad ? -w.padBegin[d] : 0;
      int64_t high = w.in[d] + (includePad ? w.padEnd[d] : 0);
      // Taps k with low <= start + k * dilation < high.
      auto tapsBelow = [&](int64_t bound) {
        int64_t taps = bound > start ? (bound - start - 1) / w.dilation[d] + 1 : 0;
        return std::min(taps, w.kernel[d]);
      };
      counts[o] *= std::max<int64_t>(0, tapsBelow(high) - tapsBelow(low));
    }
  return counts;
}

Expected<Tensors> averagePool(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(window, poolWindow(node, x.shape()));
  NPUCC_TAKE(out, allocate(x.type(), pooledShape(x.shape(), window)));
  std::vector<int64_t> counts = windowCounts(window, node.getInt("count_include_pad", 0) != 0);
  int64_t planes = x.shape()[0] * x.shape()[1], inSize = window.inSize();
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *target = out.mutableValues<T>().data();
        const T *source = x.values<T>().data();
        for (int64_t plane = 0; plane < planes; ++plane) {
          forTapRows(window,
                     [&](int64_t, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
                       for (int64_t o = lo; o < hi; ++o)
                         target[start + o] += source[base + o * sx];
                     });
          for (size_t o = 0; o < counts.size(); ++o)
            target[o] = counts[o] ? target[o] / static_cast<T>(counts[o]) : T(0);
          source += inSize;
          target += counts.size();
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Expected<Tensors> lpPool(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  int64_t p = node.getInt("p", 2);
  if (p < 1)
    return fail("p must be positive");
  NPUCC_TAKE(window, poolWindow(node, x.shape()));
  NPUCC_TAKE(out, allocate(x.type(), pooledShape(x.shape(), window)));
  int64_t planes = x.shape()[0] * x.shape()[1], inSize = window.inSize();
  int64_t outSize = window.outSize();
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *target = out.mutableValues<T>().data();
        const T *source = x.values<T>().data();
        for (int64_t plane = 0; plane < planes; ++plane) {
          forTapRows(window,
                     [&](int64_t, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
                       for (int64_t o = lo; o < hi; ++o)
                         target[start + o] += std::pow(std::abs(source[base + o * sx]), T(p));
                     });
          for (int64_t o = 0; o < outSize; ++o)
            target[o] = std::pow(target[o], T(1) / T(p));
          source += inSize;
          target += outSize;
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Error inferPool(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  if (c.node.opType != "MaxPool")
    NPUCC_TRY(allFloat(c));
  auto dims = dimsOf(c, 0);
  if (dims) {
    NPUCC_TAKE(window, poolWindow(c.node, *dims));
    dims = pooledShape(*dims, window);
  }
  setOutput(c, 0, typeOf(c, 0), dims);
  setOutput(c, 1, ElementType::Int64, dims);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Global pools
//===----------------------------------------------------------------------===//

Expected<Shape> globalShape(ArrayRef<int64_t> dims) {
  if (dims.size() < 2)
    return fail("needs rank 2 or more, not " + text(dims));
  Shape shape(dims.size(), 1);
  std::copy_n(dims.begin(), 2, shape.begin());
  return shape;
}

enum class Global { Average, Max, Lp };

template <Global Mode> Expected<Tensors> globalPool(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(shape, globalShape(x.shape()));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  int64_t size = product(x.shape().drop_front(2)), p = node.getInt("p", 2);
  if (size == 0 && out.size() != 0)
    return fail("input " + text(x.shape()) + " is empty");
  if (p < 1)
    return fail("p must be positive");
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *source = x.values<T>().data();
        for (T &target : out.mutableValues<T>()) {
          T value = Mode == Global::Max ? source[0] : T(0);
          for (int64_t i = 0; i < size; ++i) {
            if constexpr (Mode == Global::Average)
              value += source[i];
            else if constexpr (Mode == Global::Max)
              value = std::max(value, source[i]);
            else
              value += std::pow(std::abs(source[i]), T(p));
          }
          if constexpr (Mode == Global::Average)
            value /= static_cast<T>(size);
          else if constexpr (Mode == Global::Lp)
            value = std::pow(value, T(1) / T(p));
          target = value;
          source += size;
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferGlobal(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  NPUCC_TRY(allFloat(c));
  if (auto dims = dimsOf(c, 0))
    return setShape(c, typeOf(c, 0), globalShape(*dims));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// MaxUnpool
//===----------------------------------------------------------------------===//

Expected<Shape> unpooledShape(const Node &node, ArrayRef<int64_t> dims) {
  if (dims.size() < 3 || !isStatic(dims))
    return fail("needs rank 3 or more, not " + text(dims));
  size_t rank = dims.size() - 2;
  std::vector<int64_t> kernel = node.getInts("kernel_shape");
  std::vector<int64_t> strides = node.getInts("strides"), pads = node.getInts("pads");
  strides.resize(strides.empty() ? rank : strides.size(), 1);
  pads.resize(pads.empty() ? 2 * rank : pads.size(), 0);
  if (kernel.size() != rank || strides.size() != rank || pads.size() != 2 * rank)
    return fail("kernel_shape, strides or pads do not fit " + text(dims));
  Shape shape(dims.begin(), dims.begin() + 2);
  for (size_t d = 0; d < rank; ++d) {
    for (int64_t value : {kernel[d], strides[d], pads[d], pads[d + rank]})
      if (value < 0 || value > (1 << 30))
        return fail("kernel_shape, strides or pads are out of range");
    if (dims[d + 2] > (1 << 30))
      return fail("input " + text(dims) + " is too large");
    int64_t size = (dims[d + 2] - 1) * strides[d] + kernel[d] - pads[d] - pads[d + rank];
    if (size < 0)
      return fail("pads exceed the result");
    shape.push_back(size);
  }
  if (!checkedElementCount(shape))
    return fail("result shape " + text(shape) + " is not valid");
  return shape;
}
Expected<Tensors> maxUnpool(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0], &index = inputs[1];
  NPUCC_TAKE(natural, unpooledShape(node, x.shape()));
  if (index.shape() != x.shape() || index.type() != ElementType::Int64)
    return fail("indices must be int64 of shape " + text(x.shape()));
  Shape shape = natural;
  if (present(inputs, 2)) {
    auto given = ints(inputs[2]);
    shape.assign(given.begin(), given.end());
  }
  NPUCC_TAKE(out, allocate(x.type(), shape));
  // Indices count in the natural result; output_shape only says where it lies.
  if (shape.size() != natural.size())
    return fail("output_shape " + text(shape) + " does not fit the input");
  int64_t limit = product(natural);
  Shape natStride = rowMajorStrides(natural), stride = rowMajorStrides(shape);
  for (int64_t &s : natStride)
    s = std::max<int64_t>(s, 1);
  if (!dispatchWidth(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *target = out.mutableValues<T>().data();
        for (int64_t i = 0; i < x.size(); ++i) {
          int64_t place = index.values<int64_t>()[i], shifted = 0;
          if (place < 0 || place >= limit)
            continue;
          bool inside = true;
          for (size_t d = 0; d < shape.size(); place %= natStride[d++]) {
            int64_t position = place / natStride[d];
            inside &= position < shape[d];
            shifted += position * stride[d];
          }
          if (inside)
            target[shifted] = x.values<T>()[i];
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferMaxUnpool(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  if (c.has(2)) {
    auto given = constantInts(c, 2);
    setOutput(c, 0, typeOf(c, 0),
              given ? std::optional<Shape>(Shape(given->begin(), given->end())) : std::nullopt);
    return Error::success();
  }
  if (dims && isStatic(*dims))
    return setShape(c, typeOf(c, 0), unpooledShape(c.node, *dims));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> poolingOps() {
  static const OpInfo table[] = {
      {"", "MaxPool", 12, inferPool, widened<maxPoolKernel>},
      {"", "AveragePool", 19, inferPool, widened<averagePool>},
      {"", "LpPool", 18, inferPool, widened<lpPool>},
      {"", "GlobalAveragePool", 1, inferGlobal, widened<globalPool<Global::Average>>},
      {"", "GlobalMaxPool", 1, inferGlobal, widened<globalPool<Global::Max>>},
      {"", "GlobalLpPool", 2, inferGlobal, widened<globalPool<Global::Lp>>},
      {"", "MaxUnpool", 11, inferMaxUnpool, maxUnpool},
  };
  return table;
}

} // namespace npucc::ops
