//===- Recurrent.cpp - LSTM, GRU, RNN, step by step ---------------------------===//
//
// The product with the inputs is one contraction over all steps; each step then has
// one with the state, and the gates as elementwise ops on slices. Steps are written
// out, so long sequences stay on the host.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace npucc::lowering {

/// More steps than this make programs larger than the work is worth.
constexpr int64_t kMaxSteps = 128;

namespace {

/// One direction of one node. Gates in ONNX's order: LSTM i o f c, GRU z r h.
class Recurrence {
public:
  Recurrence(LoweringContext &c, int64_t gates)
      : c(c), gates(gates), steps(c.shape(0)[0]), batch(c.shape(0)[1]), hidden(c.shape(2)[2]),
        f32(c.b.getF32Type()) {}

  LogicalResult check();
  LogicalResult run();

private:
  void direction(int64_t d);
  /// Part [first, first + count) of the second dimension of direction `d` of a constant.
  Value constantPart(unsigned input, int64_t d, int64_t first, int64_t count);
  Value initialState(unsigned input, int64_t d);
  /// state[b, k] * r[g, n, k] for some of the gates: [batch, count, hidden].
  Value product(Value state, Value r, int64_t count);
  Arg gate(Value sums, int64_t g);
  Arg inputGate(int64_t t, int64_t g);
  Value map(ArrayRef<Arg> args, Body body) {
    return elementwise(c, args, RankedTensorType::get({batch, hidden}, f32), body);
  }
  Value mapWide(ArrayRef<Arg> args, Body body) {
    return elementwise(c, args, {batch, hidden}, f32, f32, body);
  }
  void lstmStep(int64_t t);
  void gruStep(int64_t t);
  void rnnStep(int64_t t);

  LoweringContext &c;
  int64_t gates, steps, batch, hidden;
  Type f32;
  // Of the direction at hand.
  Value inputSums; ///< x W^T + biases: [steps, batch, gates, hidden]
  Value r;         ///< [gates, hidden, hidden]
  Value h, cell;
  Value resetBias; ///< of a GRU's candidate, 1-D, or null
  SmallVector<Value> sequences, finals, cells;
};

LogicalResult Recurrence::check() {
  auto constant = [&](unsigned i) { return !c.has(i) || c.isConstant(i); };
  if (!constant(1) || !constant(2) || !constant(3))
    return c.refuse("weights are not constant");
  if (c.has(4)) {
    auto lengths = c.ints(4);
    if (!lengths || llvm::any_of(*lengths, [&](int64_t n) { return n != steps; }))
      return c.refuse("sequences that end early");
  }
  if (c.getInt("layout", 0) || c.getInt("input_forget", 0) || c.hasAttr("clip") ||
      (gates == 4 && c.has(7)))
    return c.refuse("layout, input_forget, clip or peepholes");
  if (auto names = c.node.getParameters().getAs<ArrayAttr>("activations")) {
    static constexpr StringRef kLstm[] = {"Sigmoid", "Tanh", "Tanh"};
    unsigned period = gates == 4 ? 3 : gates == 3 ? 2 : 1;
    for (auto [i, name] : llvm::enumerate(names))
      if (cast<StringAttr>(name).getValue() != (gates == 1 ? "Tanh" : kLstm[i % period]))
        return c.refuse("activations that are not the usual ones");
  }
  if (steps > kMaxSteps)
    return c.refuse("sequences longer than " + Twine(kMaxSteps) + " steps");
  if (steps < 1 || !c.element(0).isF32())
    return c.refuse("an empty sequence, or numbers that are not fp32");
  return success();
}

Value Recurrence::constantPart(unsigned input, int64_t d, int64_t first, int64_t count) {
  RankedTensorType type = c.type(input);
  Ints shape(type.getShape());
  shape[0] = 1;
  shape[1] = count;
  Value part = c.constantNode("Slice",
                              {c.input(input), c.constantInts({d, first}),
                               c.constantInts({d + 1, first + count}), c.constantInts({0, 1})},
                              type.clone(shape));
  shape.erase(shape.begin());
  return c.constantReshape(part, shape);
}

Value Recurrence::initialState(unsigned input, int64_t d) {
  // A GRU reads its first state element by element, too, which the scheduler cannot do with a fill.
  if (!c.has(input) && gates == 3)
    return c.data(c.constantFloats(SmallVector<float>(batch * hidden, 0), {batch, hidden}));
  if (!c.has(input)) {
    Type storage = c.storageElement(f32);
    TypedAttr zero = storageNumber(storage, 0);
    return filled(c, {batch, hidden}, arith::ConstantOp::create(c.b, c.loc, zero));
  }
  Value part = slice(c, c.tensor(input), {d, 0, 0}, {1, batch, hidden});
  return reshape(c, part, {batch, hidden});
}

Value Recurrence::product(Value state, Value weights, int64_t count) {
  Factor a{state, f32, dimsMap(c, 4, {0, 3})}, b{weights, f32, dimsMap(c, 4, {1, 2, 3})};
  return contract(c, a, b, dimsMap(c, 4, {0, 1, 2}), {batch, count, hidden});
}

Arg Recurrence::gate(Value sums, int64_t g) {
  Value part = slice(c, sums, {0, g, 0}, {batch, 1, hidden});
  return c.tensorArg(reshape(c, part, {batch, hidden}), f32);
}

Arg Recurrence::inputGate(int64_t t, int64_t g) {
  Value part = slice(c, inputSums, {t, 0, g, 0}, {1, batch, 1, hidden});
  return c.tensorArg(reshape(c, part, {batch, hidden}), f32);
}

void Recurrence::lstmStep(int64_t t) {
  Value sums = product(h, r, 4);
  SmallVector<Arg> args;
  for (int64_t g : {0, 2, 3}) {
    args.push_back(inputGate(t, g));
    args.push_back(gate(sums, g));
  }
  args.push_back(c.tensorArg(cell, f32));
  cell = mapWide(args, [](Scalar &s, ArrayRef<Value> x) {
    Value in = s.sigmoid(s.add(x[0], x[1])), forget = s.sigmoid(s.add(x[2], x[3]));
    return s.add(s.mul(forget, x[6]), s.mul(in, s.tanh(s.add(x[4], x[5]))));
  });
  h = map({inputGate(t, 1), gate(sums, 1), c.tensorArg(cell, f32)},
          [](Scalar &s, ArrayRef<Value> x) {
            return s.mul(s.sigmoid(s.add(x[0], x[1])), s.tanh(x[2]));
          });
}

void Recurrence::gruStep(int64_t t) {
  bool resetAfter = c.getInt("linear_before_reset", 0) != 0;
  Arg old = c.tensorArg(h, f32);
  auto mix = [](Scalar &s, Value z, Value candidate, Value before) {
    return s.add(s.mul(s.sub(s.constant(1), z), candidate), s.mul(z, before));
  };
  if (resetAfter) {
    Value sums = product(h, r, 3);
    SmallVector<Arg> args{old};
    for (int64_t g : {0, 1, 2}) {
      args.push_back(inputGate(t, g));
      args.push_back(gate(sums, g));
    }
    if (resetBias)
      args.push_back(c.channelArg(resetBias, 1));
    h = map(args, [&](Scalar &s, ArrayRef<Value> x) {
      Value z = s.sigmoid(s.add(x[1], x[2])), reset = s.sigmoid(s.add(x[3], x[4]));
      Value state = resetBias ? s.add(x[6], x[7]) : x[6];
      return mix(s, z, s.tanh(s.add(x[5], s.mul(reset, state))), x[0]);
    });
    return;
  }
  Value gateWeights = slice(c, r, {0, 0, 0}, {2, hidden, hidden});
  Value candidateWeights = slice(c, r, {2, 0, 0}, {1, hidden, hidden});
  Value sums = product(h, gateWeights, 2);
  Value gated = map({old, inputGate(t, 1), gate(sums, 1)}, [](Scalar &s, ArrayRef<Value> x) {
    return s.mul(s.sigmoid(s.add(x[1], x[2])), x[0]);
  });
  Value candidate = product(gated, candidateWeights, 1);
  h = map({old, inputGate(t, 0), gate(sums, 0), inputGate(t, 2), gate(candidate, 0)},
          [&](Scalar &s, ArrayRef<Value> x) {
            return mix(s, s.sigmoid(s.add(x[1], x[2])), s.tanh(s.add(x[3], x[4])), x[0]);
          });
}

void Recurrence::rnnStep(int64_t t) {
  Value sums = product(h, r, 1);
  h = map({inputGate(t, 0), gate(sums, 0)},
          [](Scalar &s, ArrayRef<Value> x) { return s.tanh(s.add(x[0], x[1])); });
}

void Recurrence::direction(int64_t d) {
  int64_t inputs = c.shape(0)[2], rows = gates * hidden;
  Value w = c.constantReshape(constantPart(1, d, 0, rows), {gates, hidden, inputs});
  r = c.data(c.constantReshape(constantPart(2, d, 0, rows), {gates, hidden, hidden}));
  // [t, b, g, n; k]
  Factor x{c.tensor(0), f32, dimsMap(c, 5, {0, 1, 4})};
  Factor weights{c.data(w), f32, dimsMap(c, 5, {2, 3, 4})};
  Ints shape{steps, batch, gates, hidden};
  inputSums = contract(c, x, weights, dimsMap(c, 5, {0, 1, 2, 3}), shape);
  resetBias = Value();
  if (c.has(3)) {
    // A candidate's recurrent bias is gated where the reset comes after the product.
    bool apart = gates == 3 && c.getInt("linear_before_reset", 0) != 0;
    auto vector = RankedTensorType::get({rows}, f32);
    Value own = constantPart(3, d, 0, rows), recurrent = constantPart(3, d, rows, rows);
    if (apart) {
      resetBias = constantPart(3, d, rows + 2 * hidden, hidden);
      SmallVector<float> mask(rows, 1);
      std::fill(mask.begin() + 2 * hidden, mask.end(), 0.0f);
      recurrent = c.constantNode("Mul", {recurrent, c.constantFloats(mask, {rows})}, vector);
    }
    Value sum = c.constantNode("Add", {own, recurrent}, vector);
    Value bias = c.data(c.constantReshape(sum, {gates, hidden}));
    inputSums = elementwise(c, {c.tensorArg(inputSums, f32), c.tensorArg(bias, f32)}, shape, f32,
                            f32, [](Scalar &s, ArrayRef<Value> v) { return s.add(v[0], v[1]); });
  }
  h = initialState(5, d);
  if (gates == 4)
    cell = initialState(6, d);
  bool backwards = d == 1 || c.getString("direction", "forward") == "reverse";
  for (int64_t i = 0; i < steps; ++i) {
    int64_t t = backwards ? steps - 1 - i : i;
    if (gates == 4)
      lstmStep(t);
    else if (gates == 3)
      gruStep(t);
    else
      rnnStep(t);
    if (c.wants(0))
      sequences[0] = insert(c, reshape(c, h, {1, 1, batch, hidden}), sequences[0], {t, d, 0, 0});
  }
  Ints one{1, batch, hidden};
  finals.push_back(reshape(c, h, one));
  if (gates == 4)
    cells.push_back(toStorage(c, reshape(c, cell, one), RankedTensorType::get(one, f32)));
}

LogicalResult Recurrence::run() {
  if (failed(check()))
    return failure();
  int64_t directions = c.shape(1)[0];
  if (c.wants(0))
    sequences.push_back(emptyTensor(c, {steps, directions, batch, hidden}, c.storageElement(f32)));
  for (int64_t d = 0; d < directions; ++d)
    direction(d);
  if (c.wants(0) && failed(c.result(sequences[0], 0)))
    return failure();
  if (c.wants(1) && failed(c.result(concat(c, finals, 0), 1)))
    return failure();
  if (c.wants(2) && failed(c.result(concat(c, cells, 0), 2)))
    return failure();
  return success();
}

} // namespace

template <int64_t Gates> static LogicalResult lowerRecurrent(onnx::NodeOp, LoweringContext &c) {
  if (c.shape(0).size() != 3 || c.shape(1).size() != 3 || c.shape(2).size() != 3)
    return c.refuse("operands are not of rank 3");
  return Recurrence(c, Gates).run();
}

ArrayRef<Lowering> recurrentLowerings() {
  static const Lowering entries[] = {{"", "LSTM", lowerRecurrent<4>},
                                     {"", "GRU", lowerRecurrent<3>},
                                     {"", "RNN", lowerRecurrent<1>}};
  return entries;
}

} // namespace npucc::lowering
