//===- Disassemble.cpp - Readable listing of a program --------------------===//

#include "runtime/program/Program.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace npucc;

namespace {

constexpr const char *kSpaces[] = {"dram", "spm", "acc"};
constexpr const char *kEngines[] = {"load", "store", "matrix", "vector", "control"};
constexpr const char *kBodyOps[] = {
    "const", "input", "index",   "add",     "sub",    "mul",     "div",  "mod",
    "max",   "min",   "neg",     "abs",     "fma",    "eq",      "lt",   "le",
    "and",   "or",    "xor",     "not",     "select", "floor",   "ceil", "round",
    "exp",   "log",   "sqrt",    "rsqrt",   "recip",  "tanh",    "erf",  "sin",
    "cos",   "pow",   "sigmoid", "tofloat", "toint",  "roundto", "wrap", "lookup"};
static_assert(std::size(kBodyOps) == static_cast<size_t>(BodyOp::Lookup) + 1);

/// A name out of a file, on one line.
std::string plain(llvm::StringRef name) {
  std::string text = name.str();
  for (char &c : text)
    if (static_cast<unsigned char>(c) < ' ')
      c = '?';
  return text;
}

class Listing {
public:
  explicit Listing(const Program &program) : p(program), out(text) {}
  std::string run();

private:
  const Program &p;
  std::string text;
  llvm::raw_string_ostream out;

  void header();
  void affine(const Affine &affine);
  void address(const Address &address);
  void dims(llvm::ArrayRef<LoopDim> dims);
  void box(llvm::ArrayRef<DmaCommand::Dim> dims);
  void operand(const Operand &operand);
  void condition(const char *word, const Condition &condition);
  void body(const Body &body, llvm::StringRef indent);
  void command(const Command &command, llvm::StringRef indent);
};

/// "4096 + 64*L0 - 2*L3"
void Listing::affine(const Affine &affine) {
  bool first = affine.constant == 0 && !affine.terms.empty();
  if (!first)
    out << affine.constant;
  for (const Affine::Term &term : affine.terms) {
    uint64_t size = term.coefficient < 0 ? 0 - uint64_t(term.coefficient) : term.coefficient;
    if (term.coefficient < 0)
      out << (first ? "-" : " - ");
    else if (!first)
      out << " + ";
    if (size != 1)
      out << size << '*';
    out << 'L' << term.loop;
    first = false;
  }
}

void Listing::address(const Address &address) {
  out << kSpaces[static_cast<size_t>(address.space)] << '[';
  affine(address.offset);
  if (address.ring >= 0)
    out << " + ring" << address.ring;
  out << ']';
}

void Listing::dims(llvm::ArrayRef<LoopDim> dims) {
  out << '(';
  for (size_t d = 0; d < dims.size(); ++d) {
    out << (d ? " " : "") << dims[d].extent << (dims[d].reduction ? "r" : "");
    if (dims[d].clipped) {
      out << " < " << dims[d].bound << " - (";
      affine(dims[d].start);
      out << ')';
    }
    if (d + 1 < dims.size())
      out << ',';
  }
  out << ')';
}

void Listing::box(llvm::ArrayRef<DmaCommand::Dim> dims) {
  for (size_t d = 0; d < dims.size(); ++d) {
    out << (d ? " x " : "") << dims[d].extent;
    if (!dims[d].clipped)
      continue;
    out << " in 0.." << dims[d].bound << " at ";
    affine(dims[d].start);
    if (dims[d].step != 1)
      out << " step " << dims[d].step;
  }
  out << ", strides";
  for (const DmaCommand::Dim &dim : dims)
    out << ' ' << dim.sourceStride << '>' << dim.targetStride;
}

void Listing::operand(const Operand &operand) {
  address(operand.address);
  out << ' ' << name(operand.type) << " strides (";
  for (size_t d = 0; d < operand.strides.size(); ++d)
    out << (d ? ", " : "") << operand.strides[d];
  out << ')';
  for (const Guard &guard : operand.guards) {
    out << " if 0 <= ";
    affine(guard.start);
    for (size_t d = 0; d < guard.coefficients.size(); ++d)
      if (guard.coefficients[d])
        out << " + " << guard.coefficients[d] << "*d" << d;
    out << " < " << guard.bound;
  }
  if (!operand.guards.empty())
    out << " else " << llvm::format("%g", operand.fill);
}

void Listing::condition(const char *word, const Condition &condition) {
  if (condition.always) {
    out << ' ' << word;
    return;
  }
  out << ' ' << word << " if ";
  affine(condition.value);
  out << " == " << condition.equals;
}

void Listing::body(const Body &body, llvm::StringRef indent) {
  for (size_t i = 0; i < body.insts.size(); ++i) {
    const BodyInst &inst = body.insts[i];
    out << indent << "    %" << i << " = " << kBodyOps[static_cast<size_t>(inst.op)]
        << (inst.isFloat ? "" : ".i64");
    if (inst.wrap != ElementType::Undefined)
      out << '.' << name(inst.wrap);
    if (inst.op == BodyOp::Constant)
      out << ' ' << llvm::format("%.9g", inst.imm);
    else if (inst.op == BodyOp::Input || inst.op == BodyOp::Index || inst.op == BodyOp::Lookup)
      out << ' ' << inst.a;
    else
      out << " %" << inst.a;
    if (inst.b >= 0)
      out << " %" << inst.b;
    if (inst.c >= 0)
      out << " %" << inst.c;
    out << '\n';
  }
  out << indent << "    yield";
  for (size_t i = 0; i < body.yields.size(); ++i) {
    out << " %" << body.yields[i];
    if (i < body.zeros.size() && body.zeros[i] != 0)
      out << " zero " << body.zeros[i];
  }
  out << '\n';
}

void Listing::command(const Command &c, llvm::StringRef indent) {
  auto line = [&](const char *word, const Operand &o) {
    out << indent << "    " << word << ' ';
    operand(o);
    out << '\n';
  };
  switch (c.kind) {
  case CommandKind::Dma: {
    const DmaCommand &dma = p.dma[c.index];
    out << "dma ";
    address(dma.source);
    out << " -> ";
    address(dma.target);
    out << ' ' << name(dma.type) << ' ';
    box(dma.dims);
    break;
  }
  case CommandKind::Matrix:
    out << "matrix ";
    dims(p.matrix[c.index].dims);
    condition("clear", p.matrix[c.index].clearIf);
    break;
  case CommandKind::Vector:
    out << "vector ";
    dims(p.vector[c.index].dims);
    break;
  case CommandKind::Gather: {
    const GatherCommand &gather = p.gather[c.index];
    out << "gather ";
    address(gather.source);
    out << " -> ";
    address(gather.target);
    out << ' ' << name(gather.type) << ' ' << gather.axisSize << " rows of ";
    box(gather.row);
    break;
  }
  case CommandKind::Host:
    out << "host " << plain(p.hostNodes[p.host[c.index].node].opType);
    break;
  }
  if (c.layer >= 0)
    out << "   ; " << plain(p.layers[c.layer].node) << " (" << plain(p.layers[c.layer].op) << ')';
  out << '\n';
  switch (c.kind) {
  case CommandKind::Matrix: {
    const MatrixCommand &m = p.matrix[c.index];
    line("a  ", m.a);
    line("b  ", m.b);
    line("acc", m.accumulator);
    if (m.aZero || m.bZero)
      out << indent << "    zero points " << m.aZero << ", " << m.bZero << '\n';
    if (!m.hasEpilogue)
      return;
    out << indent << "   ";
    condition("epilogue", m.epilogueIf);
    out << '\n';
    for (const Operand &input : m.epilogueInputs)
      line("in ", input);
    line("out", m.out);
    return body(m.epilogue, indent);
  }
  case CommandKind::Vector: {
    const VectorCommand &v = p.vector[c.index];
    for (const Operand &input : v.inputs)
      line("in ", input);
    for (const Operand &output : v.outputs)
      line("out", output);
    if (!v.initial.empty()) {
      out << indent << "    initial";
      for (double value : v.initial)
        out << ' ' << llvm::format("%g", value);
      condition("", v.clearIf);
      out << '\n';
    }
    return body(v.body, indent);
  }
  case CommandKind::Gather:
    line("by ", p.gather[c.index].indices);
    return;
  case CommandKind::Host:
    for (bool input : {true, false})
      for (int32_t t : input ? p.host[c.index].inputs : p.host[c.index].outputs) {
        out << indent << "    " << (input ? "in  " : "out ");
        if (t < 0)
          out << "(absent)\n";
        else
          out << plain(p.tensors[t].name) << " at dram[" << p.tensors[t].address << "]\n";
      }
    return;
  case CommandKind::Dma:
    return;
  }
}

void Listing::header() {
  static const char *const kinds[] = {"input", "output", "constant", "intermediate"};
  out << "; " << plain(p.modelName) << " for " << plain(p.machineName) << ", " << plain(p.precision)
      << ", batch " << p.batch << '\n';
  out << "; bytes in use: dram " << p.dramBytes << ", spm " << p.spmBytes << ", acc " << p.accBytes
      << '\n';
  for (size_t r = 0; r < p.rings.size(); ++r)
    out << "ring" << r << ": " << p.rings[r].slots << " x " << p.rings[r].slotBytes << " bytes\n";
  for (size_t s = 0; s < p.semaphores.size(); ++s)
    if (p.semaphores[s].initial)
      out << "semaphore s" << s << ": starts at " << p.semaphores[s].initial << '\n';
  for (const ProgramTensor &tensor : p.tensors) {
    out << kinds[static_cast<size_t>(tensor.kind)] << ' ' << plain(tensor.name) << ": "
        << name(tensor.type) << " (";
    for (size_t d = 0; d < tensor.shape.size(); ++d)
      out << (d ? ", " : "") << tensor.shape[d];
    out << ") at dram[" << tensor.address << "], strides (";
    for (size_t d = 0; d < tensor.strides.size(); ++d)
      out << (d ? ", " : "") << tensor.strides[d];
    out << ")\n";
  }
}

std::string Listing::run() {
  header();
  int64_t number = 0; // Run and Wait, over all streams in order
  for (size_t s = 0; s < p.streams.size(); ++s) {
    const Stream &stream = p.streams[s];
    out << "\nstream " << s << ": " << kEngines[static_cast<size_t>(stream.engine)] << ' '
        << stream.channel << '\n';
    std::string indent = "  ";
    auto place = [&](bool numbered) {
      if (numbered)
        out << llvm::format("%6lld", static_cast<long long>(number++)) << indent;
      else
        out << "      " << indent;
    };
    for (const Instruction &i : stream.code) {
      switch (i.kind) {
      case Instruction::Kind::LoopBegin:
        place(false);
        out << "loop L" << i.index << " x " << p.loops[i.index].trips << " {\n";
        indent += "  ";
        break;
      case Instruction::Kind::LoopEnd:
        indent.resize(indent.size() > 2 ? indent.size() - 2 : 2);
        place(false);
        out << "}\n";
        break;
      case Instruction::Kind::Run:
        place(true);
        command(p.commands[i.index], "      " + indent);
        break;
      case Instruction::Kind::Wait:
        place(true);
        out << "wait s" << i.index << (i.redundant ? "   ; redundant" : "") << '\n';
        break;
      case Instruction::Kind::Signal:
        place(false);
        out << "signal s" << i.index << '\n';
        break;
      case Instruction::Kind::Advance:
        place(false);
        out << "advance ring" << i.index << '\n';
        break;
      }
    }
  }
  return std::move(text);
}

} // namespace

std::string npucc::disassemble(const Program &program) { return Listing(program).run(); }
