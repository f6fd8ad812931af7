//===- Decoder.cpp - Decoders with a key-value cache --------------------------===//
//
// One graph serves prefill (past = 0) and decode (seq = 1). Positions, rotations and the
// causal mask follow from the shapes of the inputs, so that they are constants once the
// dimensions are bound.
//
//===----------------------------------------------------------------------===//

#include "models/zoo/Families.h"

#include <cmath>

using namespace npucc;
using namespace npucc::zoo;
using llvm::Twine;

namespace {

/// What the layers of a decoder share.
class Decoder {
public:
  Decoder(NetworkBuilder &b, DataMap &config)
      : b(b), layers(size(config, "layers")), hidden(size(config, "hidden")),
        heads(size(config, "heads")), kvHeads(size(config, "kv_heads", heads)),
        width(size(config, "head_dim", hidden / heads)), vocabulary(size(config, "vocabulary")) {
    if (kvHeads > heads)
      kvHeads = heads; // reported as a wrong parameter count
  }

  /// The token inputs and the caches of all layers.
  ValueId begin(double embeddingDeviation);
  /// Rotations of the first `rotated` elements of each head (Su et al., RoFormer, 2021).
  void rotations(int64_t rotated, double theta);
  /// From normalised tokens; `bias`: of all four projections.
  ValueId attention(const std::string &name, int64_t layer, ValueId x, bool bias);
  void end(ValueId logits);

  NetworkBuilder &b;
  int64_t layers, hidden, heads, kvHeads, width, vocabulary;
  ValueId embedding = kNoValue, positions = kNoValue;

private:
  ValueId rotate(const std::string &name, ValueId x);
  ValueId scalarOf(const Twine &name, ValueId one) {
    return b.node("Squeeze", name, {one, b.ints(name + ".axes", {0})});
  }

  std::vector<std::pair<ValueId, ValueId>> past, present;
  ValueId total = kNoValue, mask = kNoValue, cosine = kNoValue, sine = kNoValue;
  int64_t rotated = 0;
};

ValueId Decoder::begin(double embeddingDeviation) {
  ValueId ids = b.input("input_ids", ElementType::Int64, {"batch", "seq"});
  std::vector<std::string> dims{"batch", std::to_string(kvHeads), "past", std::to_string(width)};
  for (int64_t i = 0; i < layers; ++i) {
    std::string name = "past_key_values." + std::to_string(i);
    ValueId key = b.input(name + ".key", dims);
    past.emplace_back(key, b.input(name + ".value", dims));
  }
  // Sizes as tensors of one element.
  auto dimension = [&](const Twine &name, ValueId of, int64_t axis) {
    return b.node("Shape", name, {of}, {{"start", {axis}}, {"end", {axis + 1}}});
  };
  ValueId before = dimension("past", past[0].first, 2);
  total = b.add("total", before, dimension("seq", ids, 1));

  ValueId zero = b.ints("zero", {0}), one = b.ints("one", {1});
  ValueId step = scalarOf("step", one), end = scalarOf("total.scalar", total);
  positions = b.node("Range", "positions", {scalarOf("past.scalar", before), end, step});
  ValueId keys = b.node("Range", "positions.keys", {scalarOf("zero.scalar", zero), end, step});
  // Of queries (rows) and keys (columns): the future is masked. -1e4 is within fp16.
  ValueId rows = b.node("Unsqueeze", "mask.rows", {positions, one});
  ValueId columns = b.node("Unsqueeze", "mask.columns", {keys, zero});
  mask = b.node("Where", "mask",
                {b.node("Greater", "mask.future", {columns, rows}), b.scalar("mask.drop", -1e4),
                 b.scalar("mask.keep", 0)});

  embedding = b.weight("embed_tokens.weight", {vocabulary, hidden}, embeddingDeviation);
  return b.node("Gather", "embed_tokens", {embedding, ids});
}

void Decoder::rotations(int64_t elements, double theta) {
  rotated = elements;
  Floats frequencies;
  for (int64_t i = 0; i < rotated / 2; ++i)
    frequencies.push_back(static_cast<float>(std::pow(theta, -2.0 * double(i) / double(rotated))));
  ValueId place = b.node("Unsqueeze", "rotary.positions", {positions, b.ints("rotary.axis", {1})});
  // In fp32: a half cannot hold a position above 2048.
  auto cast = [&](const Twine &name, ValueId x, ElementType to) {
    return b.node("Cast", name, {x}, {{"to", {static_cast<int64_t>(to)}}});
  };
  ValueId angles = b.mul("rotary.angles", cast("rotary.float", place, ElementType::Float32),
                         b.floats32("rotary.frequencies", {1, rotated / 2}, frequencies));
  angles = b.concat("rotary.both", {angles, angles}, 1);
  cosine = b.node("Cos", "rotary.cos", {angles});
  sine = b.node("Sin", "rotary.sin", {angles});
  if (b.elementType() != ElementType::Float32) {
    cosine = cast("rotary.cos.cast", cosine, b.elementType());
    sine = cast("rotary.sin.cast", sine, b.elementType());
  }
}

/// x cos + rotate(x) sin on [batch, heads, seq, width]. Pairs are (i, i + rotated / 2);
/// checkpoints with neighbours as pairs differ by an order of the projections' columns.
ValueId Decoder::rotate(const std::string &name, ValueId x) {
  if (!rotated)
    return x;
  ValueId rest = kNoValue;
  if (rotated < width) {
    auto parts = b.split(name + ".split", x, 3, {rotated, width - rotated});
    x = parts[0];
    rest = parts[1];
  }
  auto halves = b.split(name + ".halves", x, 3, {rotated / 2, rotated / 2});
  ValueId turned =
      b.concat(name + ".turned", {b.node("Neg", name + ".neg", {halves[1]}), halves[0]}, 3);
  ValueId y =
      b.add(name + ".rotary", b.mul(name + ".cos", x, cosine), b.mul(name + ".sin", turned, sine));
  return rest == kNoValue ? y : b.concat(name + ".rotated", {y, rest}, 3);
}

ValueId Decoder::attention(const std::string &name, int64_t layer, ValueId x, bool bias) {
  auto project = [&](const char *what, int64_t count) {
    std::string full = name + "." + what;
    return b.splitHeads(full + ".heads", b.linear(full, x, hidden, count * width, bias), count,
                        width);
  };
  ValueId q = rotate(name + ".q", project("q_proj", heads));
  ValueId k = rotate(name + ".k", project("k_proj", kvHeads));
  ValueId v = project("v_proj", kvHeads);
  k = b.concat(name + ".keys", {past[layer].first, k}, 2);
  v = b.concat(name + ".values", {past[layer].second, v}, 2);
  present.emplace_back(k, v);

  // Grouped queries (Ainslie et al., GQA, 2023): the heads of a group are rows of one product,
  // so that keys and values are not repeated.
  int64_t group = heads / kvHeads;
  if (group > 1)
    q = b.reshape(name + ".grouped", q, {0, kvHeads, -1, width});
  ValueId scores =
      b.node("MatMul", name + ".scores", {q, b.transpose(name + ".keys.t", k, {0, 1, 3, 2})});
  scores = b.mul(name + ".scaled", scores, b.scalar(name + ".scale", 1 / std::sqrt(double(width))));
  if (group > 1)
    scores = b.node(
        "Reshape", name + ".scores.heads",
        {scores, b.concat(name + ".scores.shape",
                          {b.ints(name + ".scores.rows", {0, kvHeads, group, -1}), total}, 0)});
  scores = b.add(name + ".masked", scores, mask);
  ValueId weights = b.node("Softmax", name + ".softmax", {scores}, {{"axis", {int64_t(-1)}}});
  if (group > 1)
    weights =
        b.node("Reshape", name + ".weights",
               {weights, b.concat(name + ".weights.shape",
                                  {b.ints(name + ".weights.rows", {0, kvHeads, -1}), total}, 0)});
  ValueId y = b.node("MatMul", name + ".mix", {weights, v});
  if (group > 1) // back to [batch, heads, seq, width]
    y = b.reshape(name + ".heads", y, {0, heads, -1, width});
  y = b.mergeHeads(name + ".merge", y, heads, width);
  return b.linear(name + ".o_proj", y, heads * width, hidden, bias);
}

void Decoder::end(ValueId logits) {
  b.output("logits", logits);
  for (size_t i = 0; i < present.size(); ++i) {
    std::string name = "present." + std::to_string(i);
    b.output(name + ".key", present[i].first);
    b.output(name + ".value", present[i].second);
  }
}

/// Shazeer, GLU Variants Improve Transformer, 2020.
ValueId swiglu(NetworkBuilder &b, const Twine &name, ValueId x, ValueId gate, ValueId up,
               ValueId down) {
  ValueId g = b.silu(name + ".silu", b.node("MatMul", name + ".gate_proj", {x, gate}));
  ValueId u = b.node("MatMul", name + ".up_proj", {x, up});
  return b.node("MatMul", name + ".down_proj", {b.mul(name + ".mul", g, u), down});
}

/// Jiang et al., Mixtral of Experts, 2024. The router and the weights of its choice are computed;
/// which experts it chooses is not known before the run, and the first top_k stand for them.
ValueId mixture(NetworkBuilder &b, const std::string &name, ValueId x, int64_t hidden, int64_t ffn,
                int64_t experts, int64_t topK) {
  ValueId scores = b.linear(name + ".gate", x, hidden, experts, false);
  auto chosen = b.nodes("TopK", name + ".top", {scores, b.ints(name + ".top.k", {topK})}, 2,
                        {{"axis", {int64_t(-1)}}});
  ValueId shares = b.node("Softmax", name + ".shares", {chosen[0]}, {{"axis", {int64_t(-1)}}});
  auto share = b.split(name + ".share", shares, 2, Ints(static_cast<size_t>(topK), 1));
  auto stack = [&](const char *what, int64_t from, int64_t to) {
    return b.weight(name + ".experts." + what, {experts, from, to}, 1 / std::sqrt(double(from)));
  };
  ValueId gate = stack("w1", hidden, ffn), down = stack("w2", ffn, hidden),
          up = stack("w3", hidden, ffn);
  ValueId sum = kNoValue;
  for (int64_t i = 0; i < topK; ++i) {
    std::string expert = name + ".expert" + std::to_string(i);
    ValueId index = b.index(expert + ".index", i);
    auto pick = [&](const char *what, ValueId all) {
      return b.node("Gather", expert + "." + what, {all, index}, {{"axis", {int64_t(0)}}});
    };
    ValueId y = swiglu(b, expert, x, pick("w1", gate), pick("w3", up), pick("w2", down));
    y = b.mul(expert + ".weighted", y, share[static_cast<size_t>(i)]);
    sum = sum == kNoValue ? y : b.add(expert + ".add", sum, y);
  }
  return sum;
}

} // namespace

/// Touvron et al., LLaMA, 2023; Llama 2, 2023; the Llama 3 model card.
void zoo::buildLlama(NetworkBuilder &b, DataMap &config) {
  Decoder d(b, config);
  int64_t ffn = size(config, "ffn"), experts = size(config, "experts", 1);
  int64_t topK = size(config, "top_k", 1);
  double eps = epsilon(config), theta = 10000;
  config.number("rope_theta", theta, 1, 1e12);

  ValueId x = d.begin(1);
  d.rotations(d.width, theta);
  for (int64_t i = 0; i < d.layers; ++i) {
    std::string name = "layers." + std::to_string(i);
    ValueId y = b.rmsNorm(name + ".input_norm", x, d.hidden, eps);
    x = b.add(name + ".attention.add", x, d.attention(name + ".attention", i, y, false));
    y = b.rmsNorm(name + ".post_attention_norm", x, d.hidden, eps);
    if (experts > 1) {
      y = mixture(b, name + ".moe", y, d.hidden, ffn, experts, std::min(topK, experts));
    } else {
      std::string mlp = name + ".mlp";
      auto weight = [&](const char *what, int64_t from, int64_t to) {
        return b.weight(mlp + "." + what + ".weight", {from, to}, 1 / std::sqrt(double(from)));
      };
      ValueId gate = weight("gate_proj", d.hidden, ffn), up = weight("up_proj", d.hidden, ffn);
      y = swiglu(b, mlp, y, gate, up, weight("down_proj", ffn, d.hidden));
    }
    x = b.add(name + ".mlp.add", x, y);
  }
  d.end(b.linear("lm_head", b.rmsNorm("norm", x, d.hidden, eps), d.hidden, d.vocabulary, false));
}

/// Radford et al., GPT-2, 2019; Wang and Komatsuzaki, GPT-J-6B, 2021 ("parallel": attention
/// and feed-forward read the same normalised tokens).
void zoo::buildGpt(NetworkBuilder &b, DataMap &config) {
  Decoder d(b, config);
  int64_t ffn = size(config, "ffn"), context = size(config, "context");
  int64_t rotary = 0;
  config.integer("rotary_dim", rotary, 0, d.width, DataMap::Optional);
  bool parallel = flag(config, "parallel"), bias = flag(config, "attention_bias");
  bool tied = flag(config, "tied_embeddings");
  double eps = epsilon(config);

  ValueId x = d.begin(1);
  if (rotary)
    d.rotations(rotary, 10000);
  else
    x = b.add("embed", x,
              b.node("Gather", "embed_positions",
                     {b.weight("embed_positions.weight", {context, d.hidden}, 1), d.positions}));
  for (int64_t i = 0; i < d.layers; ++i) {
    std::string name = "layers." + std::to_string(i);
    ValueId normal = b.layerNorm(name + ".norm", x, d.hidden, eps);
    ValueId y = d.attention(name + ".attention", i, normal, bias);
    x = b.add(name + ".attention.add", x, y);
    if (!parallel)
      normal = b.layerNorm(name + ".mlp.norm", x, d.hidden, eps);
    y = b.gelu(name + ".mlp.gelu", b.linear(name + ".mlp.fc_in", normal, d.hidden, ffn), true);
    x = b.add(name + ".mlp.add", x, b.linear(name + ".mlp.fc_out", y, ffn, d.hidden));
  }
  x = b.layerNorm("norm", x, d.hidden, eps);
  if (tied)
    d.end(b.node("MatMul", "lm_head", {x, b.transpose("lm_head.weight", d.embedding, {1, 0})}));
  else
    d.end(b.linear("lm_head", x, d.hidden, d.vocabulary));
}
