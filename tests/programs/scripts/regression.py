"""Tutorial style: tensors and autograd by hand, a custom Function, a module of parameters, LBFGS, printing."""

import torch


class LegendrePolynomial3(torch.autograd.Function):
    """P3(x) = (5 x^3 - 3 x) / 2"""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.zeros(()))
        self.b = torch.nn.Parameter(torch.full((), 0.5))
        self.c = torch.nn.Parameter(torch.tensor(-0.25))

    def forward(self, x):
        return self.a + self.b * x + self.c * x**3

    def string(self):
        return f"y = {abs(self.a.item()):.3f} + {self.b.item():.3f} x + {self.c.item():.3f} x^3"


def main():
    lines = []
    x = torch.linspace(-3.14159, 3.14159, 200)
    y = torch.sin(x)
    a = torch.full((), 0.0, requires_grad=True)
    b = torch.full((), -1.0, requires_grad=True)
    losses = []
    for _ in range(20):
        y_pred = a + b * LegendrePolynomial3.apply(0.3 * x)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            a -= 1e-4 * a.grad
            b -= 1e-4 * b.grad
            a.grad = None
            b.grad.zero_()
        losses.append(loss.item())
    lines.append(f"{abs(a.item()):.4f} {b.item():.4f}")

    model = Polynomial3()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    criterion = torch.nn.MSELoss(reduction="sum")

    for _ in range(5):

        def closure():
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    lines.append(model.string())

    p = torch.tensor([1, 2, 3])
    xx = x.unsqueeze(-1).pow(p)
    net = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
    torch.nn.init.constant_(net[0].weight, 0.1)
    torch.nn.init.zeros_(net[0].bias)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    for _ in range(20):
        loss = criterion(net(xx), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    lines += [
        str(net),
        str(model),
        repr(torch.arange(6).reshape(2, 3)),
        str(xx[:3]),
        str(torch.tensor([1.5, -2e-3, 3])),
    ]
    lines.append(str(y[::50].double().numpy().round(3).tolist()))
    lines.append(str(xx.shape) + str(xx.size(0)) + str(xx.dtype) + str(xx.device) + str(p.sum()) + str(loss > 0))
    lines.append(str(torch.ones(2, 2, requires_grad=True) * 2 == 2))
    return losses, lines
