"""PyTorch: nn.RNN and nn.Linear, time before batch (its fastest layout), autograd, SGD; tokens as one-hot vectors. Arguments: threads."""
from serve import absent, serve

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as error:
    absent(error)

LEARNING_RATE = 0.1


def build(cell, data, threads):
    torch.set_num_threads(threads)
    r, s, t, all_steps = cell["r"], cell["s"], cell["t"], cell["readout"] == "all"
    rnn, head = nn.RNN(r, s, nonlinearity=cell["f"]), nn.Linear(s, t)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.from_numpy(data["U"]))
        rnn.weight_hh_l0.copy_(torch.from_numpy(data["W"]))
        rnn.bias_ih_l0.copy_(torch.from_numpy(data["b"]))
        rnn.bias_hh_l0.zero_().requires_grad_(False)  # one bias, as everywhere else
        head.weight.copy_(torch.from_numpy(data["V"]))
        head.bias.copy_(torch.from_numpy(data["c"]))
    parameters = [p for p in [*rnn.parameters(), *head.parameters()] if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE)
    x = torch.from_numpy(data["x"]).transpose(0, 1).contiguous()
    y = torch.from_numpy(data["y"]).long()
    y = y.t().reshape(-1) if all_steps else y

    def logits():
        states, _ = rnn(F.one_hot(x.long(), r).float() if cell.get("tokens") else x)
        return head(states if all_steps else states[-1])

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(logits().reshape(-1, t), y)
        loss.backward()
        optimizer.step()
        return loss

    def forward():
        with torch.inference_mode():
            return logits()

    return {"inference": forward, "training": step}, lambda result: result.detach().numpy()


serve("PyTorch", torch.__version__, build)
