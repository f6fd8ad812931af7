//===- Attention.cpp - Attention operators and rotary embedding -----------===//
//
// ONNX 23's Attention and RotaryEmbedding and ONNX Runtime's GroupQueryAttention,
// MultiHeadAttention and RotaryEmbedding. All end in attend(), in fp32.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <Eigen/Core>

namespace npucc::ops {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const Matrix>;

constexpr int64_t kMaxHeads = 1 << 16;
constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// The term added to the score of (batch, head, query, key); kMasked hides it.
using Bias = llvm::function_ref<float(int64_t, int64_t, int64_t, int64_t)>;

/// [B, S, H * D] to [B, H, S, D].
Expected<Tensor> splitHeads(const Tensor &x, int64_t heads) {
  if (x.rank() == 4)
    return x;
  if (x.rank() != 3 || heads < 1 || x.shape()[2] % heads)
    return fail("input " + text(x.shape()) + " does not divide into " + Twine(heads) + " heads");
  int64_t b = x.shape()[0], s = x.shape()[1], d = x.shape()[2] / heads;
  NPUCC_TAKE(out, allocate(x.type(), {b, heads, s, d}));
  const float *from = x.values<float>().data();
  float *to = out.mutableValues<float>().data();
  for (int64_t n = 0; n < b; ++n)
    for (int64_t t = 0; t < s; ++t)
      for (int64_t h = 0; h < heads; ++h, from += d)
        std::copy_n(from, d, to + ((n * heads + h) * s + t) * d);
  return std::move(out);
}

/// [B, H, S, D] to [B, S, H * D].
Expected<Tensor> joinHeads(const Tensor &x) {
  int64_t b = x.shape()[0], heads = x.shape()[1], s = x.shape()[2], d = x.shape()[3];
  NPUCC_TAKE(out, allocate(x.type(), {b, s, heads * d}));
  const float *from = x.values<float>().data();
  float *to = out.mutableValues<float>().data();
  for (int64_t n = 0; n < b; ++n)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t t = 0; t < s; ++t, from += d)
        std::copy_n(from, d, to + ((n * s + t) * heads + h) * d);
  return std::move(out);
}

/// past [B, H, P, D] followed by x [B, H, S, D]; entries of sequence b go after
/// `used`[b] of the past, in a buffer of `length`.
Expected<Tensor> append(const Tensor &past, const Tensor &x, ArrayRef<int64_t> used,
                        int64_t length) {
  int64_t b = x.shape()[0], heads = x.shape()[1], s = x.shape()[2], d = x.shape()[3];
  if (static_cast<int64_t>(used.size()) != b)
    return fail("keys and values have batches of " + Twine(used.size()) + " and " + Twine(b));
  int64_t p = 0;
  if (past.defined()) {
    if (past.rank() != 4 || past.type() != x.type() || past.shape()[0] != b ||
        past.shape()[1] != heads || past.shape()[3] != d)
      return fail("past " + text(past.shape()) + " does not fit " + text(x.shape()));
    p = past.shape()[2];
  }
  NPUCC_TAKE(out, allocate(x.type(), {b, heads, length, d}));
  float *to = out.mutableValues<float>().data();
  for (int64_t n = 0; n < b; ++n) {
    if (used[n] < 0 || used[n] > p || used[n] + s > length)
      return fail("past of " + Twine(used[n]) + " elements is out of range");
    for (int64_t h = 0; h < heads; ++h, to += length * d) {
      if (used[n])
        std::copy_n(past.values<float>().data() + (n * heads + h) * p * d, used[n] * d, to);
      std::copy_n(x.values<float>().data() + (n * heads + h) * s * d, s * d, to + used[n] * d);
    }
  }
  return std::move(out);
}

/// softmax(scale * q k^T + bias) v; query heads share key heads in groups.
Expected<Tensor> attend(const Tensor &q, const Tensor &k, const Tensor &v, float scale,
                        float softcap, Bias bias) {
  for (const Tensor *t : {&q, &k, &v})
    if (t->rank() != 4 || t->type() != ElementType::Float32)
      return fail("needs floats of rank 4, not " + text(t->shape()));
  int64_t b = q.shape()[0], heads = q.shape()[1], s = q.shape()[2], d = q.shape()[3];
  int64_t groups = k.shape()[1], t = k.shape()[2], dv = v.shape()[3];
  if (k.shape()[0] != b || v.shape()[0] != b || k.shape()[3] != d || v.shape()[1] != groups ||
      v.shape()[2] != t || groups == 0 || heads % groups)
    return fail("Q " + text(q.shape()) + ", K " + text(k.shape()) + " and V " + text(v.shape()) +
                " do not fit");
  NPUCC_TAKE(out, allocate(q.type(), {b, heads, s, dv}));
  if (out.size() == 0 || t == 0 || d == 0)
    return std::move(out);
  NPUCC_TAKE(scratch, allocate(ElementType::Float32, {s, t}));
  Eigen::Map<Matrix> scores(scratch.mutableValues<float>().data(), s, t);
  for (int64_t n = 0; n < b; ++n)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t g = n * groups + h / (heads / groups);
      ConstMap left(q.values<float>().data() + (n * heads + h) * s * d, s, d);
      ConstMap keys(k.values<float>().data() + g * t * d, t, d);
      ConstMap values(v.values<float>().data() + g * t * dv, t, dv);
      scores.noalias() = left * keys.transpose();
      for (int64_t i = 0; i < s; ++i) {
        float most = kMasked, sum = 0;
        for (int64_t j = 0; j < t; ++j) {
          float x = scores(i, j) * scale;
          if (softcap > 0)
            x = softcap * std::tanh(x / softcap);
          scores(i, j) = x += bias(n, h, i, j);
          most = std::max(most, x);
        }
        for (int64_t j = 0; j < t; ++j)
          sum += scores(i, j) = most == kMasked ? 0 : std::exp(scores(i, j) - most);
        for (int64_t j = 0; sum > 0 && j < t; ++j)
          scores(i, j) /= sum;
      }
      Eigen::Map<Matrix>(out.mutableValues<float>().data() + (n * heads + h) * s * dv, s, dv)
          .noalias() = scores * values;
    }
  return std::move(out);
}

float scaleOf(const Node &node, const Tensor &q) {
  float scale = node.getFloat("scale", 0);
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<float>(std::max<int64_t>(1, q.shape()[3])));
}

/// An attention mask or bias that broadcasts to [B, H, S, T]: what to add.
class MaskReader {
public:
  static Expected<MaskReader> make(const Tensor &mask, ArrayRef<int64_t> scores) {
    MaskReader reader;
    if (!mask.defined())
      return reader;
    if (!broadcastsTo(mask.shape(), scores))
      return fail("mask " + text(mask.shape()) + " does not broadcast to " + text(scores));
    reader.isBool = mask.type() == ElementType::Bool;
    reader.values = floats(mask);
    Shape natural = rowMajorStrides(mask.shape());
    size_t lead = 4 - mask.shape().size();
    for (size_t d = 0; d < natural.size(); ++d)
      reader.strides[lead + d] = mask.shape()[d] == 1 ? 0 : natural[d];
    return reader;
  }
  float operator()(int64_t n, int64_t h, int64_t i, int64_t j) const {
    if (values.empty())
      return 0;
    float x = values[n * strides[0] + h * strides[1] + i * strides[2] + j * strides[3]];
    return !isBool ? x : x != 0 ? 0 : kMasked;
  }

private:
  std::vector<float> values;
  int64_t strides[4] = {0, 0, 0, 0};
  bool isBool = false;
};

Tensor optional(ArrayRef<Tensor> inputs, size_t i) {
  return present(inputs, i) ? inputs[i] : Tensor();
}

Error allFloat(ArrayRef<Tensor> inputs, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (present(inputs, i) && inputs[i].type() != ElementType::Float32)
      return unsupportedType(inputs[i].type());
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

/// Rotates pairs of the first `rotary` elements of x [B, H, S, D]; caches are
/// [positions, rotary / 2].
Error rotate(Tensor &x, const Tensor &cosine, const Tensor &sine, int64_t rotary, bool interleaved,
             llvm::function_ref<int64_t(int64_t, int64_t)> position) {
  int64_t b = x.shape()[0], heads = x.shape()[1], s = x.shape()[2], d = x.shape()[3];
  int64_t half = rotary / 2;
  if (rotary < 0 || rotary > d || rotary % 2 || cosine.shape() != sine.shape() ||
      cosine.rank() != 2 || cosine.shape()[1] < half)
    return fail("cos and sin caches " + text(cosine.shape()) + " do not fit " + text(x.shape()));
  std::vector<float> c = floats(cosine), z = floats(sine);
  Tensor result = Tensor::of<float>(x.type(), x.shape(), x.values<float>());
  float *to = result.mutableValues<float>().data();
  for (int64_t n = 0; n < b; ++n)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t t = 0; t < s; ++t, to += d) {
        int64_t p = position(n, t);
        if (p < 0 || p >= cosine.shape()[0])
          return fail("position " + Twine(p) + " is out of range for " + text(cosine.shape()));
        const float *cp = c.data() + p * cosine.shape()[1], *sp = z.data() + p * cosine.shape()[1];
        for (int64_t k = 0; k < half; ++k) {
          float &first = to[interleaved ? 2 * k : k],
                &second = to[interleaved ? 2 * k + 1 : k + half];
          float a = first, e = second;
          first = a * cp[k] - e * sp[k];
          second = a * sp[k] + e * cp[k];
        }
      }
  x = result;
  return Error::success();
}

Expected<Tensors> rotary(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  bool microsoft = node.domain == "com.microsoft";
  // ONNX: X, cos, sin, position_ids; ONNX Runtime: input, position_ids, cos, sin.
  size_t places = microsoft ? 1 : 3, cosAt = microsoft ? 2 : 1;
  if (!present(inputs, cosAt) || !present(inputs, cosAt + 1))
    return fail("the cos and sin caches are missing");
  NPUCC_TRY(allFloat(inputs.take_front(1), 1));
  Tensor cosine = inputs[cosAt], sine = inputs[cosAt + 1];
  const Tensor &x = inputs[0];
  if (x.rank() < 3)
    return fail("needs rank 3 or 4, not " + text(x.shape()));
  int64_t dim = node.getInt("rotary_embedding_dim", 0);
  int64_t heads = node.getInt("num_heads", 0);
  if (microsoft && x.rank() == 3 && heads == 0 && cosine.rank() == 2 && cosine.shape()[1] > 0)
    heads = x.shape()[2] / (2 * cosine.shape()[1]);
  NPUCC_TAKE(split, splitHeads(x, heads));
  int64_t s = split.shape()[2];
  std::optional<Tensor> positions;
  if (present(inputs, places)) {
    positions = inputs[places];
    if (positions->size() != 1 && positions->size() != split.shape()[0] * s)
      return fail("position_ids " + text(positions->shape()) + " do not fit the input");
  } else { // caches hold one row for each element
    Shape flat{split.shape()[0] * s, cosine.rank() ? cosine.shape().back() : 0};
    NPUCC_TAKE(flatCosine, viewed(cosine, flat));
    NPUCC_TAKE(flatSine, viewed(sine, flat));
    cosine = flatCosine;
    sine = flatSine;
  }
  NPUCC_TRY(rotate(split, cosine, sine, dim ? dim : split.shape()[3],
                   node.getInt("interleaved", 0) != 0, [&](int64_t n, int64_t t) {
                     if (!positions)
                       return n * s + t;
                     return positions->size() == 1 ? positions->asInt(0) + t
                                                   : positions->asInt(n * s + t);
                   }));
  if (x.rank() == 4)
    return one(split);
  NPUCC_TAKE(out, joinHeads(split));
  return one(out);
}

//===----------------------------------------------------------------------===//
// ONNX Attention, MultiHeadAttention
//===----------------------------------------------------------------------===//

Expected<Tensors> attention(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  NPUCC_TRY(allFloat(inputs, 3));
  NPUCC_TAKE(q, splitHeads(inputs[0], node.getInt("q_num_heads", 0)));
  NPUCC_TAKE(k, splitHeads(inputs[1], node.getInt("kv_num_heads", 0)));
  NPUCC_TAKE(v, splitHeads(inputs[2], node.getInt("kv_num_heads", 0)));
  Tensor pastK = optional(inputs, 4), pastV = optional(inputs, 5);
  int64_t past = pastK.defined() && pastK.rank() == 4 ? pastK.shape()[2] : 0;
  std::vector<int64_t> used(k.shape()[0], past);
  NPUCC_TAKE(keys, append(pastK, k, used, past + k.shape()[2]));
  NPUCC_TAKE(values, append(pastV, v, used, past + v.shape()[2]));
  NPUCC_TAKE(mask, MaskReader::make(optional(inputs, 3),
                                    {q.shape()[0], q.shape()[1], q.shape()[2], keys.shape()[2]}));
  bool causal = node.getInt("is_causal", 0) != 0;
  NPUCC_TAKE(y, attend(q, keys, values, scaleOf(node, q), node.getFloat("softcap", 0),
                       [&](int64_t n, int64_t h, int64_t i, int64_t j) {
                         return causal && j > past + i ? kMasked : mask(n, h, i, j);
                       }));
  Tensors results;
  if (inputs[0].rank() == 3) {
    NPUCC_TAKE(joined, joinHeads(y));
    y = joined;
  }
  results.push_back(y);
  results.push_back(keys);
  results.push_back(values);
  return results;
}

Expected<Tensors> multiHead(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  NPUCC_TRY(allFloat(inputs, 4));
  if (present(inputs, 4))
    return fail("key_padding_mask is not supported");
  int64_t heads = node.getInt("num_heads", 0);
  Tensor parts[3] = {inputs[0], inputs[1], inputs[2]};
  if (present(inputs, 3)) { // one bias of the three, end to end
    int64_t offset = 0;
    for (Tensor &part : parts) {
      if (part.rank() != 3 || offset + part.shape()[2] > inputs[3].size())
        return fail("bias does not fit the inputs");
      Tensor sum = Tensor::of<float>(part.type(), part.shape(), part.values<float>());
      int64_t width = part.shape()[2];
      for (int64_t i = 0; i < sum.size(); ++i)
        sum.mutableValues<float>()[i] += inputs[3].values<float>()[offset + i % width];
      part = sum;
      offset += width;
    }
  }
  NPUCC_TAKE(q, splitHeads(parts[0], heads));
  NPUCC_TAKE(k, splitHeads(parts[1], heads));
  NPUCC_TAKE(v, splitHeads(parts[2], heads));
  Tensor pastK = optional(inputs, 6), pastV = optional(inputs, 7);
  int64_t past = pastK.defined() && pastK.rank() == 4 ? pastK.shape()[2] : 0;
  std::vector<int64_t> used(k.shape()[0], past);
  NPUCC_TAKE(keys, append(pastK, k, used, past + k.shape()[2]));
  NPUCC_TAKE(values, append(pastV, v, used, past + v.shape()[2]));
  NPUCC_TAKE(mask, MaskReader::make(optional(inputs, 5),
                                    {q.shape()[0], q.shape()[1], q.shape()[2], keys.shape()[2]}));
  bool causal = node.getInt("unidirectional", 0) != 0;
  NPUCC_TAKE(y, attend(q, keys, values, scaleOf(node, q), 0,
                       [&](int64_t n, int64_t h, int64_t i, int64_t j) {
                         return causal && j > past + i ? kMasked : mask(n, h, i, j);
                       }));
  NPUCC_TAKE(joined, joinHeads(y));
  Tensors results = one(joined);
  results.push_back(keys);
  results.push_back(values);
  return results;
}

//===----------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------===//

/// Query, key and value side by side in one input.
Expected<std::array<Tensor, 3>> unpack(const Tensor &packed, int64_t heads, int64_t groups) {
  if (packed.rank() != 3 || packed.shape()[2] % (heads + 2 * groups))
    return fail("packed input " + text(packed.shape()) + " does not divide into heads");
  int64_t d = packed.shape()[2] / (heads + 2 * groups),
          rows = packed.shape()[0] * packed.shape()[1];
  std::array<Tensor, 3> parts;
  int64_t offset = 0;
  for (size_t i = 0; i < 3; ++i) {
    int64_t width = (i == 0 ? heads : groups) * d;
    NPUCC_TAKE(part, allocate(packed.type(), {packed.shape()[0], packed.shape()[1], width}));
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(packed.values<float>().data() + r * packed.shape()[2] + offset, width,
                  part.mutableValues<float>().data() + r * width);
    parts[i] = part;
    offset += width;
  }
  return parts;
}

Expected<Tensors> groupQuery(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TRY(allFloat(inputs, 5));
  int64_t heads = node.getInt("num_heads", 0), groups = node.getInt("kv_num_heads", 0);
  if (heads < 1 || groups < 1 || heads > kMaxHeads || groups > kMaxHeads)
    return fail("num_heads and kv_num_heads must be positive");
  if (!present(inputs, 5) || !present(inputs, 6) || inputs[6].size() != 1)
    return fail("seqlens_k and total_sequence_length are missing");
  std::array<Tensor, 3> parts = {inputs[0], optional(inputs, 1), optional(inputs, 2)};
  if (!parts[1].defined()) {
    NPUCC_TAKE(unpacked, unpack(inputs[0], heads, groups));
    parts = unpacked;
  } else if (!parts[2].defined()) {
    return fail("input 2 is missing");
  }
  NPUCC_TAKE(q, splitHeads(parts[0], heads));
  NPUCC_TAKE(k, splitHeads(parts[1], groups));
  NPUCC_TAKE(v, splitHeads(parts[2], groups));
  int64_t b = q.shape()[0], s = q.shape()[2], total = inputs[6].asInt(0);
  if (inputs[5].size() != b || k.shape()[0] != b)
    return fail("seqlens_k has " + Twine(inputs[5].size()) + " elements, batch is " + Twine(b));
  // seqlens_k is the last valid position; a padded prompt has nothing before it.
  std::vector<int64_t> used(b);
  for (int64_t n = 0; n < b; ++n) {
    int64_t last = inputs[5].asInt(n);
    if (last < -1 || last >= total)
      return fail("seqlens_k " + Twine(last) + " is out of range for " + Twine(total));
    used[n] = std::max<int64_t>(0, last + 1 - s);
  }
  Tensor pastK = optional(inputs, 3), pastV = optional(inputs, 4);
  int64_t buffer = pastK.defined() && pastK.rank() == 4 ? pastK.shape()[2] : 0;
  int64_t length = std::max(buffer, total);
  if (node.getInt("do_rotary", 0)) {
    if (!present(inputs, 7) || !present(inputs, 8))
      return fail("the cos and sin caches are missing");
    bool interleaved = node.getInt("rotary_interleaved", 0) != 0;
    int64_t dim = inputs[7].rank() == 2 ? 2 * inputs[7].shape()[1] : 0;
    auto position = [&](int64_t n, int64_t t) { return used[n] + t; };
    NPUCC_TRY(rotate(q, inputs[7], inputs[8], dim, interleaved, position));
    NPUCC_TRY(rotate(k, inputs[7], inputs[8], dim, interleaved, position));
  }
  NPUCC_TAKE(keys, append(pastK, k, used, length));
  NPUCC_TAKE(values, append(pastV, v, used, length));
  int64_t local = node.getInt("local_window_size", -1);
  NPUCC_TAKE(y, attend(q, keys, values, scaleOf(node, q), node.getFloat("softcap", 0),
                       [&](int64_t n, int64_t, int64_t i, int64_t j) {
                         int64_t here = used[n] + i;
                         bool hidden = j > here || (local > 0 && j <= here - local);
                         return hidden ? kMasked : 0.0f;
                       }));
  NPUCC_TAKE(joined, joinHeads(y));
  Tensors results = one(joined);
  results.push_back(keys);
  results.push_back(values);
  return results;
}

//===----------------------------------------------------------------------===//
// Shape rules
//===----------------------------------------------------------------------===//

/// Outputs: y, present key, present value. Their shapes follow from the static
/// shapes of the inputs, and for GroupQueryAttention from the total length.
Error inferAttention(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  bool grouped = c.node.opType == "GroupQueryAttention";
  bool onnx = c.node.domain.empty();
  size_t pastAt = grouped ? 3 : onnx ? 4 : 6;
  int64_t heads = c.node.getInt(onnx ? "q_num_heads" : "num_heads", 0);
  int64_t groups = c.node.getInt("kv_num_heads", heads);
  if (heads > kMaxHeads || groups > kMaxHeads)
    return fail("more than " + Twine(kMaxHeads) + " heads are not supported");
  auto q = dimsOf(c, 0), k = dimsOf(c, 1), v = dimsOf(c, 2), past = dimsOf(c, pastAt);
  setOutput(c, 0, typeOf(c, 0));
  setOutput(c, 1, typeOf(c, 0), unknown(4));
  setOutput(c, 2, typeOf(c, 0), unknown(4));
  if (!q || !isStatic(*q) || (q->size() == 3 && heads < 1) || (q->size() != 3 && q->size() != 4))
    return Error::success();
  int64_t d = 0, dv = 0, fresh = 0;
  if (grouped && !c.has(1)) { // packed
    if (groups < 1 || q->size() != 3 || (*q)[2] % (heads + 2 * groups))
      return fail("packed input " + text(*q) + " does not divide into heads");
    d = dv = (*q)[2] / (heads + 2 * groups);
    fresh = (*q)[1];
    setOutput(c, 0, typeOf(c, 0), Shape{(*q)[0], (*q)[1], heads * d});
  } else {
    if (!k || !v || !isStatic(*k) || !isStatic(*v) || (k->size() == 3 && groups < 1) ||
        (k->size() != 3 && k->size() != 4) || v->size() != k->size())
      return Error::success();
    bool flat = k->size() == 3;
    if (!flat)
      groups = (*k)[1];
    d = flat ? (*k)[2] / groups : (*k)[3];
    dv = flat ? (*v)[2] / groups : (*v)[3];
    fresh = (*k)[flat ? 1 : 2];
    if (q->size() == 3)
      setOutput(c, 0, typeOf(c, 0), Shape{(*q)[0], (*q)[1], heads * dv});
    else
      setOutput(c, 0, typeOf(c, 0), Shape{(*q)[0], (*q)[1], (*q)[2], dv});
  }
  int64_t before = !c.has(pastAt) ? 0 : past && past->size() == 4 ? (*past)[2] : -1;
  int64_t length = before < 0 ? -1 : before + fresh;
  if (grouped) {
    const Tensor *total = c.constant(6);
    length = total && total->size() == 1 && before >= 0 ? std::max(before, total->asInt(0)) : -1;
  }
  setOutput(c, 1, typeOf(c, 0), Shape{(*q)[0], groups, length, d});
  setOutput(c, 2, typeOf(c, 0), Shape{(*q)[0], groups, length, dv});
  return Error::success();
}

/// Two products per pair of query and key, over all query heads.
int64_t attentionMacs(const Node &node, ArrayRef<const Value *> inputs,
                      ArrayRef<const Value *> outputs) {
  auto q = inputs.empty() ? std::nullopt : dimsOf(inputs[0]);
  auto y = outputs.empty() ? std::nullopt : dimsOf(outputs[0]);
  auto keys = outputs.size() < 2 ? std::nullopt : dimsOf(outputs[1]);
  auto k = inputs.size() < 2 ? std::nullopt : dimsOf(inputs[1]);
  if (!q || !y || !isStatic(*y))
    return 0;
  int64_t length = 0;
  if (keys && keys->size() == 4 && isStatic(*keys))
    length = (*keys)[2];
  else if (k && isStatic(*k) && (k->size() == 3 || k->size() == 4))
    length = (*k)[k->size() - 2];
  (void)node;
  return product({2, product(*y), length});
}

} // namespace

llvm::ArrayRef<OpInfo> attentionOps() {
  static const OpInfo table[] = {
      {"", "Attention", 23, inferAttention, widened<attention>, attentionMacs},
      {"", "RotaryEmbedding", 23, sameAsFirst, widened<rotary>},
      {"com.microsoft", "RotaryEmbedding", 1, sameAsFirst, widened<rotary>},
      {"com.microsoft", "MultiHeadAttention", 1, inferAttention, widened<multiHead>, attentionMacs},
      {"com.microsoft", "GroupQueryAttention", 1, inferAttention, widened<groupQuery>,
       attentionMacs},
  };
  return table;
}

} // namespace npucc::ops
