//===- Normalization.cpp - BatchNormalization, LayerNormalization, ... ----===//
//
// Statistics are two-pass: the mean first, then the variance around it. fp32
// inputs are summed in fp64, since a whole image can be one group.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

struct Moments {
  double mean, variance;
};
template <typename T> Moments moments(const T *x, int64_t n) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += x[i];
  double mean = n ? sum / static_cast<double>(n) : 0;
  for (int64_t i = 0; i < n; ++i)
    squares += (x[i] - mean) * (x[i] - mean);
  return {mean, n ? squares / static_cast<double>(n) : 0};
}

/// Per-channel parameters as fp64; an error unless each has `count` elements.
Expected<std::vector<double>> parameters(ArrayRef<Tensor> inputs, size_t i, int64_t count) {
  if (!present(inputs, i))
    return fail("input " + Twine(i) + " is missing");
  if (inputs[i].size() != count)
    return fail("input " + Twine(i) + " has " + Twine(inputs[i].size()) + " elements, expected " +
                Twine(count));
  std::vector<double> result(count);
  for (int64_t k = 0; k < count; ++k)
    result[k] = inputs[i].asDouble(k);
  return result;
}

/// The output, and statistics that nobody but training reads.
Expected<Tensors> batchNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 5));
  if (node.getInt("training_mode", 0))
    return fail("training_mode is not supported");
  const Tensor &x = inputs[0];
  if (x.rank() < 1)
    return fail("needs rank 1 or more");
  int64_t channels = x.rank() > 1 ? x.shape()[1] : 1;
  NPUCC_TAKE(scale, parameters(inputs, 1, channels));
  NPUCC_TAKE(bias, parameters(inputs, 2, channels));
  NPUCC_TAKE(mean, parameters(inputs, 3, channels));
  NPUCC_TAKE(variance, parameters(inputs, 4, channels));
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  int64_t inner = x.rank() > 2 ? product(x.shape().drop_front(2)) : 1;
  double epsilon = node.getFloat("epsilon", 1e-5f);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        int64_t planes = inner ? x.size() / inner : 0;
        for (int64_t p = 0; p < planes; ++p, from += inner, to += inner) {
          int64_t c = p % channels;
          T factor = static_cast<T>(scale[c] / std::sqrt(variance[c] + epsilon));
          T offset =
              static_cast<T>(bias[c] - mean[c] * (scale[c] / std::sqrt(variance[c] + epsilon)));
          for (int64_t i = 0; i < inner; ++i)
            to[i] = from[i] * factor + offset;
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}

/// InstanceNormalization and GroupNormalization: groups of channels over space.
Expected<Tensors> groupNormalize(const Node &node, ArrayRef<Tensor> inputs, int64_t groups) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &x = inputs[0];
  if (x.rank() < 2)
    return fail("needs rank 2 or more, not " + text(x.shape()));
  int64_t channels = x.shape()[1];
  groups = groups == 0 ? channels : groups;
  if (groups < 0 || (groups ? channels % groups : channels) != 0)
    return fail("num_groups " + Twine(groups) + " does not divide " + Twine(channels) +
                " channels");
  NPUCC_TAKE(scale, parameters(inputs, 1, channels));
  NPUCC_TAKE(bias, parameters(inputs, 2, channels));
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  if (out.size() == 0)
    return one(out);
  double epsilon = node.getFloat("epsilon", 1e-5f);
  int64_t space = product(x.shape().drop_front(2)), size = channels / groups * space;
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        for (int64_t g = 0; g < x.shape()[0] * groups; ++g, from += size, to += size) {
          Moments m = moments(from, size);
          double inverse = 1 / std::sqrt(m.variance + epsilon);
          for (int64_t i = 0; i < size; ++i) {
            int64_t c = g % groups * (channels / groups) + i / space;
            to[i] = static_cast<T>((from[i] - m.mean) * inverse * scale[c] + bias[c]);
          }
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Expected<Tensors> instanceNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  return groupNormalize(node, inputs, 0);
}
Expected<Tensors> groupNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  int64_t groups = node.getInt("num_groups", -1);
  if (groups < 1)
    return fail("num_groups must be positive");
  return groupNormalize(node, inputs, groups);
}

//===----------------------------------------------------------------------===//
// LayerNormalization, RMSNormalization and com.microsoft's skip forms
//===----------------------------------------------------------------------===//

struct LayerOptions {
  int64_t axis;
  bool centre; ///< subtract the mean (LayerNormalization), or not (RMS)
  double epsilon;
};

/// y, mean, 1 / deviation of x over its dimensions from `axis`; scale and bias
/// broadcast to x.
Expected<Tensors> layerNormalize(const Tensor &x, const Tensor &scale, const Tensor &bias,
                                 const LayerOptions &options) {
  NPUCC_TAKE(axis, normalizeAxis(options.axis, x.rank()));
  for (const Tensor *parameter : {&scale, &bias})
    if (parameter->defined() && !broadcastsTo(parameter->shape(), x.shape()))
      return fail("parameter " + text(parameter->shape()) + " does not broadcast to " +
                  text(x.shape()));
  Shape statistics(x.shape().begin(), x.shape().end());
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  NPUCC_TAKE(mean, allocate(ElementType::Float32, statistics));
  NPUCC_TAKE(inverse, allocate(ElementType::Float32, statistics));
  int64_t n = product(x.shape().drop_front(axis)), rows = n ? x.size() / n : 0;
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        for (int64_t r = 0; r < rows; ++r) {
          Moments m = moments(from + r * n, n);
          double centre = options.centre ? m.mean : 0;
          double power = m.variance + (options.centre ? 0 : m.mean * m.mean);
          double factor = 1 / std::sqrt(power + options.epsilon);
          for (int64_t i = r * n; i < (r + 1) * n; ++i)
            to[i] = static_cast<T>((from[i] - centre) * factor);
          mean.mutableValues<float>()[r] = static_cast<float>(centre);
          inverse.mutableValues<float>()[r] = static_cast<float>(factor);
        }
        auto apply = [&](const Tensor &parameter, auto op) {
          if (!parameter.defined())
            return;
          Tensor values = as(parameter, x.type());
          const T *source = values.values<T>().data();
          Walk walk = Walk::broadcasting(x.shape(), {parameter.shape()});
          walk.rows([&](const int64_t *offset, int64_t first) {
            for (int64_t i = 0; i < walk.rowLength(); ++i)
              to[first + i] = op(to[first + i], source[offset[0] + i * walk.innerStride(0)]);
          });
        };
        apply(scale, [](T a, T b) { return a * b; });
        apply(bias, [](T a, T b) { return a + b; });
      }))
    return unsupportedType(x.type());
  Tensors results = one(out);
  results.push_back(mean);
  results.push_back(inverse);
  return results;
}

Tensor optional(ArrayRef<Tensor> inputs, size_t i) {
  return present(inputs, i) ? inputs[i] : Tensor();
}

Expected<Tensors> layerNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  return layerNormalize(inputs[0], inputs[1], optional(inputs, 2),
                        {node.getInt("axis", -1), true, node.getFloat("epsilon", 1e-5f)});
}
/// RMSNormalization; also SimplifiedLayerNormalization, whose second output is the
/// reciprocal deviation.
Expected<Tensors> rmsNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  auto results = layerNormalize(inputs[0], inputs[1], Tensor(),
                                {node.getInt("axis", -1), false, node.getFloat("epsilon", 1e-5f)});
  if (results)
    results->erase(results->begin() + 1);
  return results;
}
/// (input + skip + bias), normalised; outputs: y, mean, 1 / deviation, the sum.
template <bool Simplified>
Expected<Tensors> skipNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &x = inputs[0];
  size_t biasInput = Simplified ? 3 : 4;
  NPUCC_TAKE(sum, allocate(x.type(), x.shape()));
  if (x.byteSize())
    std::memcpy(sum.mutableData(), x.data(), x.byteSize());
  for (size_t i : {size_t(1), biasInput}) {
    if (!present(inputs, i))
      continue;
    if (inputs[i].type() != x.type() || !broadcastsTo(inputs[i].shape(), x.shape()))
      return fail("input " + Twine(i) + " does not match the first");
    if (!dispatchFloat(x.type(), [&](auto tag) {
          using T = decltype(tag);
          T *to = sum.mutableValues<T>().data();
          Walk walk = Walk::broadcasting(x.shape(), {inputs[i].shape()});
          walk.rows([&](const int64_t *offset, int64_t first) {
            for (int64_t k = 0; k < walk.rowLength(); ++k)
              to[first + k] += inputs[i].values<T>()[offset[0] + k * walk.innerStride(0)];
          });
        }))
      return unsupportedType(x.type());
  }
  auto results = layerNormalize(sum, inputs[2], Simplified ? Tensor() : optional(inputs, 3),
                                {-1, !Simplified, node.getFloat("epsilon", 1e-12f)});
  if (results)
    results->push_back(sum);
  return results;
}

/// Skip forms: the first and the fourth output take the half type back.
template <RawKernel K> Expected<Tensors> skipWidened(const Node &node, ArrayRef<Tensor> inputs) {
  auto results = widened<K, 1>(node, inputs);
  if (results && results->size() > 3 && isHalf(inputs[0].type()))
    (*results)[3] = castTensor((*results)[3], inputs[0].type());
  return results;
}

Error inferLayer(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  NPUCC_TRY(allFloat(c));
  NPUCC_TRY(sameAsFirst(c));
  bool skip = llvm::StringRef(c.node.opType).starts_with("Skip");
  auto dims = dimsOf(c, 0);
  for (size_t i = 1; dims && isStatic(*dims) && i < c.inputs.size(); ++i)
    if (auto parameter = dimsOf(c, i))
      if (isStatic(*parameter) && !broadcastsTo(*parameter, *dims))
        return fail("parameter " + text(*parameter) + " does not broadcast to " + text(*dims));
  if (skip)
    setOutput(c, 3, typeOf(c, 0), dims);
  if (dims) {
    NPUCC_TAKE(axis, normalizeAxis(skip ? -1 : c.node.getInt("axis", -1),
                                   static_cast<int64_t>(dims->size())));
    std::fill(dims->begin() + axis, dims->end(), 1);
  }
  setOutput(c, 1, ElementType::Float32, dims);
  setOutput(c, 2, ElementType::Float32, dims);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// LRN, LpNormalization, MeanVarianceNormalization
//===----------------------------------------------------------------------===//

Expected<Tensors> lrn(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  int64_t size = node.getInt("size", 0);
  if (x.rank() < 2 || size < 1)
    return fail("needs rank 2 or more and a positive size");
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  int64_t channels = x.shape()[1], inner = product(x.shape().drop_front(2));
  float alpha = node.getFloat("alpha", 1e-4f), beta = node.getFloat("beta", 0.75f);
  float bias = node.getFloat("bias", 1);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        std::vector<T> sum(inner);
        for (int64_t n = 0; n < x.shape()[0]; ++n) {
          const T *from = x.values<T>().data() + n * channels * inner;
          T *to = out.mutableValues<T>().data() + n * channels * inner;
          for (int64_t c = 0; c < channels; ++c) {
            std::fill(sum.begin(), sum.end(), T(0));
            int64_t first = std::max<int64_t>(0, c - (size - 1) / 2);
            int64_t last = std::min(channels - 1, c + size / 2);
            for (int64_t k = first; k <= last; ++k)
              for (int64_t i = 0; i < inner; ++i)
                sum[i] += from[k * inner + i] * from[k * inner + i];
            for (int64_t i = 0; i < inner; ++i)
              to[c * inner + i] =
                  from[c * inner + i] /
                  std::pow(T(bias) + T(alpha) / static_cast<T>(size) * sum[i], T(beta));
          }
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Expected<Tensors> lpNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", -1), x.rank()));
  int64_t p = node.getInt("p", 2);
  if (p != 1 && p != 2)
    return fail("p must be 1 or 2");
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  int64_t n = x.shape()[axis], inner = product(x.shape().drop_front(axis + 1));
  int64_t outer = product(x.shape().take_front(axis));
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t i = 0; i < inner; ++i) {
            const T *from = x.values<T>().data() + o * n * inner + i;
            T *to = out.mutableValues<T>().data() + o * n * inner + i;
            T sum = 0;
            for (int64_t k = 0; k < n; ++k)
              sum += p == 1 ? std::abs(from[k * inner]) : from[k * inner] * from[k * inner];
            T norm = p == 1 ? sum : std::sqrt(sum);
            for (int64_t k = 0; k < n; ++k)
              to[k * inner] = norm == 0 ? T(0) : from[k * inner] / norm;
          }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Expected<Tensors> meanVarianceNormalization(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(axes, normalizeAxes(node.getInts("axes", {0, 2, 3}), x.rank()));
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  Shape kept(x.shape().begin(), x.shape().end());
  double count = 1;
  for (int64_t axis : axes) {
    count *= static_cast<double>(kept[axis]);
    kept[axis] = 1;
  }
  std::vector<double> sum(product(kept), 0), squares(sum.size(), 0);
  Walk walk = Walk::broadcasting(x.shape(), {ArrayRef<int64_t>(kept)});
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        auto each = [&](auto f) {
          walk.rows([&](const int64_t *offset, int64_t first) {
            for (int64_t i = 0; i < walk.rowLength(); ++i)
              f(first + i, offset[0] + i * walk.innerStride(0));
          });
        };
        each([&](int64_t i, int64_t g) { sum[g] += from[i] / count; });
        each([&](int64_t i, int64_t g) {
          squares[g] += (from[i] - sum[g]) * (from[i] - sum[g]) / count;
        });
        each([&](int64_t i, int64_t g) {
          to[i] = static_cast<T>((from[i] - sum[g]) / (std::sqrt(squares[g]) + 1e-9));
        });
      }))
    return unsupportedType(x.type());
  return one(out);
}

/// The input, then vectors with one element for each of its channels.
Error inferChannels(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  NPUCC_TRY(allFloat(c));
  auto x = dimsOf(c, 0);
  for (size_t i = 1; x && i < c.inputs.size(); ++i)
    if (auto dims = dimsOf(c, i))
      if (x->size() < 2 || dims->size() != 1 ||
          ((*x)[1] >= 0 && (*dims)[0] >= 0 && (*x)[1] != (*dims)[0]))
        return fail("input " + Twine(i) + " " + text(*dims) + " does not fit the channels of " +
                    text(*x));
  return sameAsFirst(c);
}

Error inferBatchNormalization(InferContext &c) {
  NPUCC_TRY(require(c, 5));
  NPUCC_TRY(allFloat(c));
  if (auto x = dimsOf(c, 0); x && !x->empty())
    for (size_t i = 1; i < 5; ++i)
      NPUCC_TRY(expectSize(c, i, "a parameter", x->size() > 1 ? (*x)[1] : 1));
  NPUCC_TRY(sameAsFirst(c));
  for (size_t i = 1; i < c.outputs.size(); ++i)
    setOutput(c, i, typeOf(c, i < 3 ? i + 2 : 3), dimsOf(c, 3));
  return Error::success();
}

} // namespace
} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::normalizationOps() {
  using namespace npucc::ops;
  static const OpInfo table[] = {
      {"", "BatchNormalization", 15, inferBatchNormalization, widened<batchNormalization>},
      {"", "InstanceNormalization", 6, inferChannels, widened<instanceNormalization>},
      {"", "GroupNormalization", 21, inferChannels, widened<groupNormalization>},
      {"", "LayerNormalization", 17, inferLayer, widened<layerNormalization, 1>},
      {"", "RMSNormalization", 23, inferLayer, widened<rmsNormalization, 1>},
      {"", "LRN", 13, sameFloat, widened<lrn>},
      {"", "LpNormalization", 1, sameFloat, widened<lpNormalization>},
      {"", "MeanVarianceNormalization", 13, sameFloat, widened<meanVarianceNormalization>},
      // ONNX Runtime exports it in the default domain too.
      {"", "SimplifiedLayerNormalization", 1, inferLayer, widened<rmsNormalization, 1>},
      {"com.microsoft", "SimplifiedLayerNormalization", 1, inferLayer,
       widened<rmsNormalization, 1>},
      {"com.microsoft", "SkipLayerNormalization", 1, inferLayer,
       skipWidened<skipNormalization<false>>},
      {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, inferLayer,
       skipWidened<skipNormalization<true>>},
  };
  return table;
}
