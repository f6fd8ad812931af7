//===- Recurrent.cpp - LSTM, GRU, RNN -------------------------------------===//
//
// One time step at a time per direction, gates as one product with W and one with
// R. Gate order as ONNX has it: LSTM i o f c, GRU z r h. Sequences that end early
// keep their last state and give zeros.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Support.h"

#include <Eigen/Core>

namespace npucc::ops {
namespace {

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T> using ConstMap = Eigen::Map<const Matrix<T>>;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

struct Activation {
  std::string name;
  float alpha, beta;

  template <typename T> T operator()(T x) const {
    T a = static_cast<T>(alpha), b = static_cast<T>(beta);
    switch (kind) {
    case 0:
      return T(1) / (T(1) + std::exp(-x));
    case 1:
      return std::tanh(x);
    case 2:
      return x > 0 ? x : T(0);
    case 3:
      return a * x + b;
    case 4:
      return x < 0 ? a * x : x;
    case 5:
      return x > a ? x : T(0);
    case 6:
      return a * std::tanh(b * x);
    case 7:
      return std::max(T(0), std::min(T(1), a * x + b));
    case 8:
      return x < 0 ? a * (std::exp(x) - T(1)) : x;
    case 9:
      return x / (T(1) + std::abs(x));
    default:
      return std::log1p(std::exp(x));
    }
  }
  int kind = 0;
};

Expected<std::vector<Activation>> activations(const Node &node, ArrayRef<const char *> defaults,
                                              int64_t directions) {
  static const struct {
    const char *name;
    float alpha, beta;
  } known[] = {{"sigmoid", 0, 0},       {"tanh", 0, 0},
               {"relu", 0, 0},          {"affine", 1, 0},
               {"leakyrelu", 0.01f, 0}, {"thresholdedrelu", 1, 0},
               {"scaledtanh", 1, 1},    {"hardsigmoid", 0.2f, 0.5f},
               {"elu", 1, 0},           {"softsign", 0, 0},
               {"softplus", 0, 0}};
  std::vector<std::string> names;
  auto it = node.attributes.find("activations");
  if (it != node.attributes.end())
    if (auto *list = std::get_if<std::vector<std::string>>(&it->second.value))
      names = *list;
  size_t count = defaults.size() * static_cast<size_t>(directions);
  for (size_t i = names.size(); i < count && (names.empty() || i > 0); ++i)
    names.push_back(defaults[i % defaults.size()]);
  if (names.size() != count)
    return fail("needs " + Twine(count) + " activations, not " + Twine(names.size()));
  std::vector<float> alphas = node.getFloats("activation_alpha");
  std::vector<float> betas = node.getFloats("activation_beta");
  std::vector<Activation> result;
  size_t nextAlpha = 0, nextBeta = 0;
  for (const std::string &name : names) {
    Activation f{llvm::StringRef(name).lower(), 0, 0};
    f.kind = -1;
    for (size_t k = 0; k < std::size(known); ++k)
      if (f.name == known[k].name) {
        f.kind = static_cast<int>(k);
        f.alpha = known[k].alpha;
        f.beta = known[k].beta;
      }
    if (f.kind < 0)
      return fail("activation '" + name + "' is not known");
    // Given values belong, in order, to the functions that take any.
    bool takesAlpha = f.kind >= 3 && f.kind <= 8;
    bool takesBeta = f.kind == 3 || f.kind == 6 || f.kind == 7;
    if (takesAlpha && nextAlpha < alphas.size())
      f.alpha = alphas[nextAlpha++];
    if (takesBeta && nextBeta < betas.size())
      f.beta = betas[nextBeta++];
    result.push_back(f);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Geometry
//===----------------------------------------------------------------------===//

struct Recurrence {
  int64_t steps, batch, inputs, hidden, directions;
  bool batchFirst; ///< layout 1
  bool reverseOnly;
  Shape yShape, stateShape;
};

Expected<Recurrence> recurrence(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> r) {
  if (x.size() != 3 || r.size() != 3)
    return fail("X " + text(x) + " and R " + text(r) + " must have rank 3");
  Recurrence n;
  n.batchFirst = node.getInt("layout", 0) != 0;
  n.steps = x[n.batchFirst ? 1 : 0];
  n.batch = x[n.batchFirst ? 0 : 1];
  n.inputs = x[2];
  std::string direction = node.getString("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return fail("direction '" + direction + "' is not known");
  n.directions = direction == "bidirectional" ? 2 : 1;
  n.reverseOnly = direction == "reverse";
  n.hidden = node.getInt("hidden_size", r[2]);
  if (n.hidden < 1 && r[2] >= 0)
    return fail("hidden_size must be positive");
  if (n.batchFirst) {
    n.yShape = {n.batch, n.steps, n.directions, n.hidden};
    n.stateShape = {n.batch, n.directions, n.hidden};
  } else {
    n.yShape = {n.steps, n.directions, n.batch, n.hidden};
    n.stateShape = {n.directions, n.batch, n.hidden};
  }
  return n;
}

Error expectShape(ArrayRef<Tensor> inputs, size_t i, llvm::StringRef what,
                  ArrayRef<int64_t> shape) {
  if (!present(inputs, i))
    return Error::success();
  if (inputs[i].shape() != shape)
    return fail(Twine(what) + " is " + text(inputs[i].shape()) + ", expected " + text(shape));
  if (inputs[i].type() != inputs[0].type())
    return fail(Twine(what) + " has another type than X");
  return Error::success();
}

enum class Cell { Lstm, Gru, Rnn };
constexpr int64_t gates(Cell cell) { return cell == Cell::Lstm ? 4 : cell == Cell::Gru ? 3 : 1; }

/// [batch, directions, hidden] (layout 1) or [directions, batch, hidden] element.
int64_t stateIndex(const Recurrence &n, int64_t d, int64_t b) {
  return (n.batchFirst ? b * n.directions + d : d * n.batch + b) * n.hidden;
}
int64_t resultIndex(const Recurrence &n, int64_t t, int64_t d, int64_t b) {
  return (n.batchFirst ? (b * n.steps + t) * n.directions + d
                       : (t * n.directions + d) * n.batch + b) *
         n.hidden;
}

template <Cell Kind, typename T> struct Runner {
  const Node &node;
  ArrayRef<Tensor> inputs;
  const Recurrence &n;
  ArrayRef<Activation> functions;
  T *y, *yh, *yc;
  std::vector<int64_t> lengths;
  T clip;

  T clipped(T x) const { return clip > 0 ? std::clamp(x, -clip, clip) : x; }
  const T *input(size_t i) const {
    return present(inputs, i) ? inputs[i].values<T>().data() : nullptr;
  }

  void run(int64_t d) {
    constexpr int64_t G = gates(Kind);
    int64_t H = n.hidden, B = n.batch;
    bool backwards = n.reverseOnly || d == 1;
    ArrayRef<Activation> f =
        functions.slice(d * functions.size() / n.directions, functions.size() / n.directions);
    bool resetAfter = Kind == Cell::Gru && node.getInt("linear_before_reset", 0) != 0;
    bool coupled = Kind == Cell::Lstm && node.getInt("input_forget", 0) != 0;

    // All of X W^T + Wb + Rb at once: [steps * batch, gates]. A GRU's recurrent
    // candidate bias stays apart where it is gated by the reset.
    Matrix<T> x(n.steps * B, n.inputs);
    for (int64_t t = 0; t < n.steps; ++t)
      for (int64_t b = 0; b < B; ++b)
        x.row(t * B + b) = ConstMap<T>(
            input(0) + (n.batchFirst ? b * n.steps + t : t * B + b) * n.inputs, 1, n.inputs);
    ConstMap<T> w(input(1) + d * G * H * n.inputs, G * H, n.inputs);
    ConstMap<T> r(input(2) + d * G * H * H, G * H, H);
    Matrix<T> gatesIn = x * w.transpose();
    const T *bias = input(3) ? input(3) + d * 2 * G * H : nullptr;
    if (bias)
      for (int64_t g = 0; g < G * H; ++g) {
        bool apart = resetAfter && g >= 2 * H;
        gatesIn.col(g).array() += bias[g] + (apart ? T(0) : bias[G * H + g]);
      }
    Matrix<T> h = Matrix<T>::Zero(B, H), c = Matrix<T>::Zero(B, H), recurrent;
    for (int64_t b = 0; b < B; ++b)
      for (int64_t k = 0; k < H; ++k) {
        if (input(5))
          h(b, k) = input(5)[stateIndex(n, d, b) + k];
        if (Kind == Cell::Lstm && input(6))
          c(b, k) = input(6)[stateIndex(n, d, b) + k];
      }
    const T *peephole = Kind == Cell::Lstm && input(7) ? input(7) + d * 3 * H : nullptr;

    for (int64_t s = 0; s < n.steps; ++s) {
      recurrent.noalias() = h * r.transpose();
      for (int64_t b = 0; b < B; ++b) {
        if (s >= lengths[b])
          continue;
        int64_t t = backwards ? lengths[b] - 1 - s : s;
        const T *in = gatesIn.data() + (t * B + b) * G * H;
        T *rec = recurrent.data() + b * G * H, *hidden = h.data() + b * H;
        if constexpr (Kind == Cell::Lstm) {
          T *cell = c.data() + b * H;
          for (int64_t k = 0; k < H; ++k) {
            T p = peephole ? peephole[k] * cell[k] : T(0);
            T i = f[0](clipped(in[k] + rec[k] + p));
            T pf = peephole ? peephole[2 * H + k] * cell[k] : T(0);
            T forget = coupled ? T(1) - i : f[0](clipped(in[2 * H + k] + rec[2 * H + k] + pf));
            T candidate = f[1](clipped(in[3 * H + k] + rec[3 * H + k]));
            cell[k] = forget * cell[k] + i * candidate;
            T po = peephole ? peephole[H + k] * cell[k] : T(0);
            T o = f[0](clipped(in[H + k] + rec[H + k] + po));
            hidden[k] = o * f[2](cell[k]);
          }
        } else if constexpr (Kind == Cell::Gru) {
          gru(in, rec, hidden, f, resetAfter, bias, r);
        } else {
          for (int64_t k = 0; k < H; ++k)
            hidden[k] = f[0](clipped(in[k] + rec[k]));
        }
        if (y)
          std::copy_n(hidden, H, y + resultIndex(n, t, d, b));
      }
    }
    for (int64_t b = 0; b < B; ++b) {
      if (yh)
        std::copy_n(h.data() + b * H, H, yh + stateIndex(n, d, b));
      if (yc)
        std::copy_n(c.data() + b * H, H, yc + stateIndex(n, d, b));
    }
  }

  void gru(const T *in, const T *rec, T *hidden, ArrayRef<Activation> f, bool resetAfter,
           const T *bias, const ConstMap<T> &r) {
    int64_t H = n.hidden;
    std::vector<T> z(H), gated(H), candidate(H);
    for (int64_t k = 0; k < H; ++k) {
      z[k] = f[0](clipped(in[k] + rec[k]));
      T reset = f[0](clipped(in[H + k] + rec[H + k]));
      if (resetAfter)
        candidate[k] = reset * (rec[2 * H + k] + (bias ? bias[5 * H + k] : T(0)));
      else
        gated[k] = reset * hidden[k];
    }
    if (!resetAfter) {
      Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>> product(candidate.data(), H);
      product.noalias() =
          r.bottomRows(H) * Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(gated.data(), H);
    }
    for (int64_t k = 0; k < H; ++k) {
      T next = f[1](clipped(in[2 * H + k] + candidate[k]));
      hidden[k] = (T(1) - z[k]) * next + z[k] * hidden[k];
    }
  }
};

Expected<std::vector<Activation>> activationsOf(Cell cell, const Node &node, int64_t directions) {
  static const char *const defaults[] = {"sigmoid", "tanh", "tanh"};
  return activations(node,
                     cell == Cell::Lstm  ? ArrayRef(defaults)
                     : cell == Cell::Gru ? ArrayRef(defaults).take_front(2)
                                         : ArrayRef(defaults).drop_front(2),
                     directions);
}

template <Cell Kind> Expected<Tensors> recurrent(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  NPUCC_TAKE(n, recurrence(node, inputs[0].shape(), inputs[2].shape()));
  constexpr int64_t G = gates(Kind);
  int64_t H = n.hidden, D = n.directions;
  if (H > (1 << 24))
    return fail("hidden_size " + Twine(H) + " is out of range");
  NPUCC_TRY(expectShape(inputs, 1, "W", {D, G * H, n.inputs}));
  NPUCC_TRY(expectShape(inputs, 2, "R", {D, G * H, H}));
  NPUCC_TRY(expectShape(inputs, 3, "B", {D, 2 * G * H}));
  NPUCC_TRY(expectShape(inputs, 5, "initial_h", n.stateShape));
  if (Kind == Cell::Lstm) {
    NPUCC_TRY(expectShape(inputs, 6, "initial_c", n.stateShape));
    NPUCC_TRY(expectShape(inputs, 7, "P", {D, 3 * H}));
  }
  Tensors results;
  ElementType type = inputs[0].type();
  NPUCC_TAKE(y, allocate(type, n.yShape));
  NPUCC_TAKE(yh, allocate(type, n.stateShape));
  results.push_back(y);
  results.push_back(yh);
  if (Kind == Cell::Lstm) {
    NPUCC_TAKE(yc, allocate(type, n.stateShape));
    results.push_back(yc);
  }
  std::vector<int64_t> lengths(n.batch, n.steps);
  if (present(inputs, 4)) {
    if (inputs[4].size() != n.batch)
      return fail("sequence_lens has " + Twine(inputs[4].size()) + " elements, batch is " +
                  Twine(n.batch));
    for (int64_t b = 0; b < n.batch; ++b) {
      lengths[b] = inputs[4].asInt(b);
      if (lengths[b] < 0 || lengths[b] > n.steps)
        return fail("sequence length " + Twine(lengths[b]) + " is out of range");
    }
  }
  NPUCC_TAKE(functions, activationsOf(Kind, node, D));
  if (!dispatchFloat(type, [&](auto tag) {
        using T = decltype(tag);
        Runner<Kind, T> runner{node,
                               inputs,
                               n,
                               functions,
                               results[0].mutableValues<T>().data(),
                               results[1].mutableValues<T>().data(),
                               Kind == Cell::Lstm ? results[2].mutableValues<T>().data() : nullptr,
                               lengths,
                               static_cast<T>(node.getFloat("clip", 0))};
        for (int64_t d = 0; d < D; ++d)
          runner.run(d);
      }))
    return unsupportedType(type);
  return results;
}

template <Cell Kind> Error inferRecurrent(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  NPUCC_TRY(oneType(c, 0, 4));
  NPUCC_TRY(oneType(c, 5));
  auto x = dimsOf(c, 0), r = dimsOf(c, 2);
  ElementType type = typeOf(c, 0);
  if (!x || !r) {
    setOutput(c, 0, type, unknown(4));
    setOutput(c, 1, type, unknown(3));
    setOutput(c, 2, type, unknown(3));
    return Error::success();
  }
  NPUCC_TAKE(n, recurrence(c.node, *x, *r));
  NPUCC_TAKE(functions, activationsOf(Kind, c.node, n.directions));
  (void)functions;
  int64_t rows = n.hidden < 0 ? -1 : product({n.directions, gates(Kind), n.hidden});
  NPUCC_TRY(expectSize(c, 1, "W", rows < 0 || n.inputs < 0 ? -1 : product({rows, n.inputs})));
  NPUCC_TRY(expectSize(c, 2, "R", rows < 0 ? -1 : product({rows, n.hidden})));
  NPUCC_TRY(expectSize(c, 3, "B", rows < 0 ? -1 : product({2, rows})));
  setOutput(c, 0, type, n.yShape);
  setOutput(c, 1, type, n.stateShape);
  setOutput(c, 2, type, n.stateShape);
  return Error::success();
}

int64_t recurrentMacs(const Node &node, ArrayRef<const Value *> inputs, ArrayRef<const Value *>) {
  if (inputs.size() < 3)
    return 0;
  auto x = dimsOf(inputs[0]), w = dimsOf(inputs[1]), r = dimsOf(inputs[2]);
  if (!x || !w || !r || x->size() != 3 || !isStatic(*x) || !isStatic(*w) || !isStatic(*r))
    return 0;
  (void)node;
  int64_t steps = product({(*x)[0], (*x)[1]}), total;
  bool tooMany =
      __builtin_add_overflow(product({steps, product(*w)}), product({steps, product(*r)}), &total);
  return tooMany ? INT64_MAX : total;
}

} // namespace
} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::recurrentOps() {
  using namespace npucc::ops;
  static const OpInfo table[] = {
      {"", "LSTM", 14, inferRecurrent<Cell::Lstm>, widened<recurrent<Cell::Lstm>>, recurrentMacs},
      {"", "GRU", 14, inferRecurrent<Cell::Gru>, widened<recurrent<Cell::Gru>>, recurrentMacs},
      {"", "RNN", 14, inferRecurrent<Cell::Rnn>, widened<recurrent<Cell::Rnn>>, recurrentMacs},
  };
  return table;
}
