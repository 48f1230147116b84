r"""Hard pairs of a gold answer and an answer, by the kind of mistake they provoke.

For each kind what must be accepted and what must be refused, as (gold, answer). In `RESPONSES` the
second string is a whole response. Written before the code that passes them; run by
tests/test_verifier_kinds.py.
"""

# ruff: noqa: E501

KINDS: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "words that change a number": (
        [
            ("5", r"5\text{ apples}"), ("12", r"12\text{ different ways}"), ("7", r"\text{exactly }7"), ("3", r"3\text{ distinct solutions}"),
            ("40", r"\text{a total of }40"), ("15", r"15\text{ students}"), ("9", r"\text{the value is }9"), ("8", r"\text{the number of ways is }8"),
            ("3000000", r"3\text{ million}"), ("24000", r"24\text{ thousand}"), ("48", r"4\text{ dozen}"),
        ],
        [
            ("7", r"\text{minus }7"), ("4", r"4\text{ squared}"), ("2", r"2\text{ billion}"), ("10", r"\text{half of }10"), ("10", r"\text{double }10"),
            ("9", r"\text{square root of }9"), ("6", r"6\text{ hundredths}"), ("5", r"5\text{ percent off}"), ("8", r"\text{one less than }8"),
            ("12", r"12\text{ tripled}"), ("3", r"\text{inverse of }3"), ("20", r"\text{twice }20"), ("3", r"3\text{ hundred}"), ("4", r"4\text{ halves}"),
            ("5", r"\text{opposite of }5"), ("6", r"6\text{ gross}"), ("16", r"\text{log of }16"), ("7", r"7\text{ modulo }4"), ("7", r"\text{at least }7"),
            ("7", r"7\text{ and a half}"), ("30", r"30\text{ below zero}"), ("5", r"\text{the negative of }5"), ("2", r"2\text{ times as many}"),
        ],
    ),
    "doubt and denial": (
        [("24", r"24\text{ (exact)}"), ("24", r"24\text{ exactly}"), (r"\text{Evelyn}", r"\text{Evelyn}.")],
        [
            ("24", r"24\text{ I think}"), ("24", r"\text{probably }24"), ("24", r"24\text{ is impossible}"), ("24", r"24\text{ (not sure)}"), ("24", r"24\text{ does not work}"),
            ("24", r"24\text{ rejected}"), ("24", r"\text{never }24"), ("24", r"\text{anything but }24"), ("24", r"24\text{ (unverified)}"), ("24", r"24\text{ hopefully}"),
            (r"\text{Yes}", r"\text{Yes?}"), ("24", r"24\text{ won't do}"), ("24", r"\text{guess: }24"), (r"\text{east}", r"\text{east, or maybe west}"), ("24", "24??"),
            ("24", r"\text{close to }24"), ("24", r"24\text{ can be excluded}"), ("24", r"24\text{ approximately?}"),
        ],
    ),
    "negated relation": (
        [("x\\ne 3", r"x\not=3"), (r"x\ne 3", r"x \not= 3")],
        [("3", r"x\not=3"), ("7", r"\not\approx 7"), ("7", r"\not= 7"), (r"x=3", r"x\not=3"), ("7", r"\cancel{=} 7"), ("(2,3)", r"\not\in (2,3)"), ("x<3", r"x\not<3"), ("7", r"\not\equiv 7")],
    ),
    "unknown words in expressions": (
        [
            (r"\operatorname{erf}(x)", r"\operatorname{erf}(x)"), (r"2\operatorname{Si}(3)", r"\operatorname{Si}(3)\cdot 2"), (r"k_{\text{eff}} x", r"x k_{\text{eff}}"),
            (r"\frac{m_{\text{total}}}{2}", r"\frac{1}{2}m_{\text{total}}"), (r"P=2MC", r"\mathrm{P=2MC}"), (r"\text{Var}(X)+1", r"1+\text{Var}(X)"),
        ],
        [
            (r"m_{\text{e}}/2", r"2m_{\text{e}}"), (r"\text{Cov}(X,Y)", r"-\text{Cov}(X,Y)"), (r"\operatorname{erf}(x)", r"\operatorname{erf}(-x)"), (r"T_{\text{max}}^2", r"T_{\text{max}}"),
            (r"v_{\text{esc}} + 1", r"v_{\text{esc}} - 1"), (r"\operatorname{sinc}(x)", r"\operatorname{sinc}(2x)"), ("MC=MR", "MC=-MR"), (r"2\text{Area}", r"\text{Area}^2"), (r"\text{Var}(X)", r"\text{Var}(Y)"),
        ],
    ),
    "a wrong side or a second answer": (
        [
            ("5", "x=2+3=5"), ("x+1", "f(x)=1+x=x+1"), ("12", r"3\cdot 4=12"), (r"\{1,2\}", r"A=\{2,1\}=\{1,2\}"), ("5", r"2x=10 \Rightarrow x=5"), ("(0,1)", "I=(0,1)"),
            ("5", r"x+1=6 \implies x=5"),
        ],
        [
            ("7", "x=8 x=7"), ("x+2", "y=x=x+2"), ("9", r"8 \Rightarrow 9"), (r"\{1\}", r"\{2\}=\{1\}"), ("(1,2)", "(2,1)=(1,2)"), ("2x", "y=x^2=2x"), ("5", r"x=4 \quad x=5"),
            ("5", r"4 \to 5"), ("5", r"x=4 \implies x=5"), ("[0,1]", "(0,1)=[0,1]"), ("3", "1+1=3"), ("x+1", "x=x+1"), ("5", "a=4; b=5"), ("5", r"f(1)=6 \; f(2)=5"),
            ("6", r"5 = 6 = 6"), (r"\frac12", r"\frac13=\frac12"), ("5", r"4 \mapsto 5"),
        ],
    ),
    "how often a value occurs": (
        [("1,1,2", "2,1,1"), ("3,3", "3,3"), (r"x=3,\ x=3,\ x=5", "3,5,3"), (r"\{1,1,2\}", r"\{1,2\}"), ("1,2", "x=1, x=2"), (r"\{2,2\}", "2")],
        [("4,4", "4"), ("1,2", "1,2,2"), ("5,5,6", "5,6,6"), ("2,2,3,3", "2,3"), ("1,1,1", "1,1"), ("2,3", "2,2,3,3")],
    ),
    "and between inequalities": (
        [
            ("(1,5)", r"x>1 \text{ and } x<5"), ("[1,5)", r"x\ge1,\ x<5"), ("(0,2]", r"0<x \text{ and } x\le 2"), (r"(-\infty,1)\cup(4,\infty)", r"x<1 \text{ or } x>4"),
            (r"(-\infty,1)\cup(4,\infty)", r"x<1, x>4"), ("(2,3)", r"x>2 \land x<3"), (r"(3,\infty)", r"x>1 \text{ and } x>3"), (r"1<x<5", r"x<5 \text{ and } x>1"), (r"[2,\infty)", r"x\ge 2 \text{ and } x>0"),
        ],
        [
            (r"(-\infty,1)\cup(4,\infty)", r"x<1 \text{ and } x>4"), ("(1,5)", r"x>1 \text{ or } x<5"), ("[1,5]", r"x>1 \text{ and } x<5"), (r"(1,\infty)", r"x>1 \text{ and } x>3"),
            (r"(-\infty,\infty)", r"x>1 \text{ and } x<5"),
        ],
    ),
    "determinants and matrices": (
        [
            ("-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"), (r"\begin{pmatrix}1/3\\2/3\end{pmatrix}", r"\frac{1}{3}\begin{pmatrix}1\\2\end{pmatrix}"), (r"\begin{pmatrix}\frac12&1\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}/2"),
            (r"\begin{pmatrix}2\\4\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}\cdot 2"), (r"\begin{bmatrix}1&0\\0&1\end{bmatrix}", r"B=\begin{bmatrix}1&0\\0&1\end{bmatrix}"),
            (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", "ad-bc"),
        ],
        [
            (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"), (r"\begin{bmatrix}2\end{bmatrix}", r"\begin{vmatrix}-2\end{vmatrix}"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}/2"),
            (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"-2"), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^{-1}"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"-\begin{pmatrix}1\\2\end{pmatrix}"),
        ],
    ),
    "tiny numbers": (
        [(r"10^{-30}", r"\frac{1}{10^{30}}"), (r"e^{-200}", r"\frac{1}{e^{200}}"), ("0", r"\sin\pi"), ("0", r"\sqrt{2}\cdot\sqrt{2}-2"), ("0", r"\ln 1")],
        [("0", "10^{-50}"), ("0", r"e^{-1000}"), ("1", r"1+e^{-150}"), ("0", r"\sin(10^{-60})"), ("1", r"\cosh(10^{-30})"), (r"e^{-200}", r"e^{-201}"), ("0", r"\left(\frac12\right)^{400}"), (r"\pi", r"\pi+10^{-45}"), ("2", r"2\cos(10^{-25})")],
    ),
    "powers of units": (
        [("3", r"3\,\mathrm{m}^{2}"), (r"0.5\,\mathrm{yd}^2", r"0.5\text{ square yards}"), ("7", r"7\,\mathrm{s}^{-1}")],
        [(r"3\,\mathrm{m}^{2}", r"3\,\mathrm{m}^{0}"), (r"3\text{ cm}^3", r"3\text{ cm}^{-3}"), (r"4\,\mathrm{m}", r"4\,\mathrm{m}^{0}"), (r"2\text{ in}^2", r"2\text{ in}^4")],
    ),
    "domains of roots and logarithms": (
        [
            (r"\sqrt{x-7}", "(x-7)^{1/2}"), (r"\ln(x-6)", r"2\ln\sqrt{x-6}"), (r"\sqrt{x^2-25}", r"(x^2-25)^{0.5}"), (r"\frac{\sqrt{x-9}}{3}", r"\sqrt{\frac{x-9}{9}}"), (r"\sqrt{3-x}\sqrt{x+3}", r"\sqrt{9-x^2}"),
            (r"\log_3(x-8)", r"\frac{\ln(x-8)}{\ln 3}"), (r"\frac{1}{\sqrt{1-\beta^2}}", r"(1-\beta^2)^{-1/2}"), (r"\sqrt[3]{x-12}", r"(x-12)^{1/3}"), (r"\ln\frac{x-2}{x+2}", r"\ln(x-2)-\ln(x+2)"), (r"\sqrt{-x}", r"(-x)^{1/2}"),
            (r"\arcsin\frac{x}{2}", r"\frac{\pi}{2}-\arccos\frac{x}{2}"), (r"\sqrt{10-x}", r"(10-x)^{\frac12}"), (r"\ln(\ln x)", r"\ln\ln x"), (r"\sqrt{1-4t^2}", r"\sqrt{(1-2t)(1+2t)}"), (r"\sqrt{100-x^2}", r"(100-x^2)^{1/2}"),
        ],
        [
            (r"\sqrt{x-4}", r"\sqrt{x-5}"), (r"\sqrt{x-4}", r"-\sqrt{x-4}"), (r"\ln(x-3)", r"\ln(x-4)"), (r"\sqrt{1-x^2}", r"1-x"), (r"\sqrt{x^2}", "x"), (r"\ln(x^2-16)", r"\ln(x-4)"), (r"\sqrt{x-40}", r"\sqrt{x-41}"), (r"\sqrt[3]{x-5}", r"\sqrt{x-5}"),
            (r"\sqrt{-x^2-1}", "5"), (r"\sqrt{x-10^6}", r"\sqrt{x-10^7}"),
        ],
    ),
    "branches": (
        [
            (r"\sqrt{m^2 v^2}", "mv"), (r"R\sqrt{2gh}", r"\sqrt{2ghR^2}"), (r"\sin(\arccos x)", r"\sqrt{1-x^2}"), (r"\tan(\arcsin x)", r"\frac{x}{\sqrt{1-x^2}}"), (r"\frac{\sqrt{a^2+b^2}}{a}", r"\sqrt{1+\frac{b^2}{a^2}}"), (r"c\sqrt{1-\frac{v^2}{c^2}}", r"\sqrt{c^2-v^2}"),
            (r"2\arctan\sqrt{x}", r"\arccos\frac{1-x}{1+x}"),
        ],
        [(r"\sqrt{4 \pi G \rho r^2}", r"2r\sqrt{\pi G}"), (r"|x|", "x"), (r"\cos(\arcsin x)", r"1-x^2"), (r"\sqrt{(x-3)^2}", "x-3"), (r"\arccos(1-2a)", r"\arcsin\sqrt a"), (r"\sqrt{x^2+1}", "x+1")],
    ),
    "factorials and binomials": (
        [(r"\frac{n!}{k!(n-k)!}", r"\binom{n}{k}"), (r"(n-1)!", r"\frac{n!}{n}"), (r"\binom{n-1}{k-1}", r"\frac{k}{n}\binom{n}{k}"), (r"\frac{(n-2)!}{2}", r"\frac{n!}{2n(n-1)}"), (r"\frac{n!}{(n-k)!}", r"k!\binom{n}{k}"), (r"(a-b)!", r"(a-b)(a-b-1)!")],
        [(r"(n-1)!", r"\frac{n!}{n-1}"), (r"\binom{n}{k}", r"\binom{k}{n}"), (r"(n-k)!", r"n!-k!"), (r"\frac{1}{2}\binom{d}{k}(k-1)!", r"\frac{d!}{k(d-k)!}"), (r"(a-b)!", r"(b-a)!")],
    ),
    "constants and parameters by another name": (
        [
            (r"2k\pi", r"2n\pi"), (r"\frac{\pi}{4}+k\pi", r"\frac{\pi}{4}+n\pi\ (n\in\mathbb{Z})"), (r"e^x+C", "e^x+c"), (r"x^2+C", "x^2+K"), (r"C e^{-2t}", r"c e^{-2t}"), (r"\frac{\pi}{3}+2m\pi, m\in\mathbb{Z}", r"\frac{\pi}{3}+2k\pi"), (r"y=Ce^{x}", r"y=ke^{x}"),
            (r"C_1e^x+C_2e^{-x}", r"c_1e^x+c_2e^{-x}"),
        ],
        [(r"2k\pi", r"n\pi"), ("3n", "3m"), (r"x^2+C", "x^2"), (r"x^2+C", "x^2+x"), (r"\frac{\pi}{4}+k\pi", r"\frac{\pi}{4}+\pi"), (r"e^x+C", "Ce^x"), ("cx", "kx^2"), (r"k\pi", r"x\pi"), (r"n(n+1)", "k(k+1)")],
    ),
    "derivatives": (
        [
            (r"y'=2y", r"\frac{dy}{dt}=2y"), (r"\dot{y}=-ky", r"\frac{dy}{dt}=-ky"), (r"\ddot{x}+\omega^2x=0", r"\frac{d^2x}{dt^2}+\omega^2 x=0"), (r"y''+y=0", r"\frac{d^2y}{dx^2}+y=0"), (r"\frac{dP}{dt}=rP", r"P'=rP"), (r"y''+2y'=0", r"y^{\prime\prime}+2y^{\prime}=0"),
            (r"\frac{\mathrm{d}y}{\mathrm{d}x}=x", r"\frac{dy}{dx}=x"),
        ],
        [(r"y'=2y", r"y''=2y"), (r"\frac{dy}{dt}=ky", r"\frac{dx}{dt}=ky"), (r"m\dot v=f", r"m v=f"), (r"\frac{dy}{dx}=x", r"\frac{d^2y}{dx^2}=x"), (r"\dot x=kx", r"\dot x=-kx")],
    ),
    "slashes": (
        [(r"e^{-\frac{t}{\tau R}}", r"e^{-t/\tau R}"), (r"e^{-\frac{E}{kT}}", "e^{-E/kT}"), (r"\frac{1}{2n}", "1/2n"), (r"\frac{V}{RC}", "V/RC"), (r"\frac{x}{2\pi}", r"x/2\pi"), (r"\cos\frac{\pi x}{2L}", r"\cos(\pi x/2L)"), (r"\frac12 x", "1/2 x"), (r"\frac{\pi}{6}x", r"\pi/6\, x")],
        [(r"\frac{1}{2n}", "2/n"), (r"e^{-t/RC}", r"e^{-t/R+C}"), (r"\frac{V}{RC}", "V/R+C"), (r"\frac{x}{2(y+1)}", "x/2+y+1")],
    ),
    "decimals in coefficients and complex numbers": (
        [(r"\sqrt{2}+\sqrt{2}i", "1.414214+1.414214i"), (r"\frac13 x", "0.333333x"), (r"\frac{1}{3}+\frac{2}{3}i", "0.333333+0.666667i"), (r"\pi r^2", "3.14159265r^2"), (r"2+\sqrt5 i", "2 + 2.2360680i"), (r"\frac{1}{7}x+1", "0.142857x+1")],
        [(r"\sqrt{2}+\sqrt{2}i", "1.414214+1.41i"), (r"\frac13 x", "0.33x"), (r"1+\sqrt3 i", "1+1.7320518i"), (r"\frac13 x", "0.333334x"), (r"\sqrt{2}+\sqrt{2}i", "1.414214-1.414214i"), (r"\pi r^2", "3.14r^2")],
    ),
    "log without a base": (
        [(r"\ln 3", r"\log 3"), (r"2\log 5", r"2\ln 5"), (r"x\log x", r"x\ln x"), ("2", r"\log 100"), (r"\log 5", r"\log_{10} 5")],
        [(r"\ln 3", r"\log_{10} 3"), (r"\ln 3", r"\log_2 3"), (r"\log_{10} 5", r"\ln 5"), (r"\ln 3", r"\log 4")],
    ),
    "names of operators": (
        [
            (r"\frac{5}{7}", r"{5 \over 7}"), (r"\binom{6}{2}", r"{6 \choose 2}"), (r"\sqrt[4]{5}", r"\root 4 \of {5}"), (r"\arccos\frac13", r"\cos^{-1}\left(\frac13\right)"), (r"\arctan 2", r"\mathrm{arctan}\,2"), (r"\sqrt{7}", r"\mathrm{sqrt}(7)"), (r"\binom{10}{3}", "C(10,3)"),
            (r"\binom{n}{2}", r"C_n^2"), (r"\binom{n}{2}", r"{}_nC_2"), (r"\sqrt{3}+i", r"2\operatorname{cis}\frac{\pi}{6}"), (r"-1", r"\mathrm{cis}\,\pi"), (r"\ln 2", "np.log(2)"), (r"\sqrt{5}", "math.sqrt(5)"), (r"\sqrt{2}", "sqrt(2)"), (r"\sqrt{2}", r"\surd 2"), (r"\binom{7}{3}", r"^7C_3"),
            (r"\frac{3}{4}", r"\displaystyle{3\over4}"), (r"\sinh x", r"\operatorname{sh} x"), ("e^2", r"\exp(2)"), (r"\arcsin x", r"\operatorname{asin}(x)"),
        ],
        [(r"\frac{5}{7}", r"{7 \over 5}"), (r"\binom{6}{2}", r"{2 \choose 6}"), (r"\frac{8}{\sqrt[3]{7}}", r"\frac{8}{\root 7 \of 3}"), (r"\sin 5", r"\sin^{-1}5"), (r"\binom{n}{2}", r"C_2^n"), ("i", r"\operatorname{cis}\pi")],
    ),
    "sums, products, integrals, limits": (
        [
            (r"\frac{n(n+1)(2n+1)}{6}", r"\sum_{k=1}^{n}k^2"), (r"\sum_{n=1}^\infty \frac{1}{n^2}", r"\frac{\pi^2}{6}"), (r"\int_0^1 e^x dx", "e-1"), (r"\sum_{n=1}^\infty \frac{1}{n^2}", r"\frac{\pi^2}{6}"), (r"\int_0^\pi \sin x\,dx", "2"), (r"\lim_{x\to0}\frac{\sin x}{x}", "1"), (r"\int_0^1 e^x dx", r"e-1"), (r"\int_0^1 x\,dx", r"\frac{1}{2}"), (r"\prod_{i=1}^{5} i", "120"), (r"\sum_{i=1}^{10} i", "55"), (r"n!", r"\prod_{k=1}^{n}k"), ("2^n", r"\sum_{k=0}^n \binom{n}{k}"), (r"\int_0^2 x^2 dx", r"\frac{8}{3}"),
            (r"\sum_{k=1}^{n} k^3", r"\left(\frac{n(n+1)}{2}\right)^2"), (r"1-2^{-n}", r"\sum_{k=1}^n \frac{1}{2^k}"), (r"\sum_{i=1}^n i^2", r"\sum_{k=1}^{n} k^2"),
            (r"\begin{pmatrix}3\\3\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}+\begin{pmatrix}2\\1\end{pmatrix}"),
        ],
        [(r"\frac{n(n+1)}{2}", r"\sum_{k=1}^n k^2"), ("n!", r"\prod_{k=1}^{n-1}k"), ("56", r"\sum_{i=1}^{10} i"), (r"\frac13", r"\int_0^1 x\,dx"), (r"\sum_{k=1}^n k", r"\frac{n(n-1)}{2}"), ("2^n", r"\sum_{k=1}^n \binom{n}{k}"), ("55", r"\sum_{i=1}^{10} i"), ("120", r"\prod_{i=1}^{5} i"), (r"\frac{1}{2}", r"\int_0^1 x\,dx"), ("1", r"\lim_{x\to0}\frac{\sin x}{x}"), ("2", r"\int_0^\pi \sin x\,dx"), ("0", r"\lim_{x\to0}\frac{\sin x}{x}")],
    ),
    "unicode, markdown and wrapping": (
        [
            ("7", "**7**"), ("7", "*7*"), ("7", "`7`"), ("7", "7．"), ("7", "\u200b7"), ("7", "\ufeff7\u200b"), ("7", "７"), ("3", "③"), (r"\sqrt{2}", "√2"), ("x^2", "x²"), (r"\frac{2}{5}", "⅖"), ("5", "__5__"), (r"1,2", "1、2"), (r"(1,2)", "（1，2）"), ("1234", "1’234"), ("1234", "1'234"),
            ("7", r"\begin{array}{c} 7 \end{array}"), ("7", r"\begin{aligned}7\end{aligned}"), ("7", r"\begin{align*}x&=7\end{align*}"), (r"\$50", "US\\$50"), ("50", "USD 50"), ("7", r"\bf{7}"), ("7", r"{\bf 7}"), ("7", r"\fbox{7}"), ("7", r"\textcolor{red}{7}"), ("7", r"\color{blue}{7}"), ("7", r"\boldsymbol{7}"), ("7", r"\underline{\underline{7}}"),
            (r"x\ge 2", "x ⩾ 2"), ("7", "“7”"), ("7", "'7'"), ("7", '"7"'), (r"\alpha+\beta", "α+β"), ("7", "$$7$$."), (r"\frac{1}{2}", r"\(\frac{1}{2}\)."), ("-7", "﹣7"), ("3", r"\text{3}"),
        ],
        [("7", "7**2"), ("77", "7 7 7"), ("7", "**8**"), ("24", "②③"), ("1234", "1'23'4"), ("5", "-**5**")],
    ),
    "units": (
        [
            ("8", r"8\,\mathrm{k\Omega}"), ("8", r"8\,\mu\mathrm{m}"), ("8", r"8\ \mathrm{\mu s}"), ("8", r"8\,\mathrm{cm^{-1}}"), ("6", r"6''"), ("6", r"6'"), ("45^\\circ", "45^o"), ("30", r"30^{o}"), (r"10\text{ min}", "10"), ("8", r"8\,L_\odot"), ("8", r"8\,R_{\odot}"), ("8", r"8\,\text{kJ/mol}"),
            ("8", r"8 \mathrm{~Mpc}"), ("8", r"8\,\mathrm{N \cdot m}"), ("8", r"8\ \text{kg}\cdot\text{m/s}"), ("8", r"8\,\mathrm{dB}"), ("8", r"8\text{ solar masses}"), ("8", r"8 \text{ W/m}^2"), ("3\\text{ h}", r"3\text{ hours}"), (r"30^\circ 15'", r"30^{\circ}15^{\prime}"), ("8", r"8\,^\circ\mathrm{C}"), ("8", "8 Ω"), ("8", "8 Å"), ("8", "8 µm"), ("25", r"25\text{¢}"),
            ("8", r"8 \text{ units}^2"), ("8", r"8\,\mathrm{mol\,L^{-1}}"), ("8", r"8\text{ light-years}"), ("8", r"8\text{ rev/min}"), ("8", r"8\,\text{sq. ft.}"), ("100", r"100\text{ m/s}"), ("100", r"\text{Rs. }100"), ("8", r"8\,\mathrm{eV}"),
        ],
        [
            (r"8\text{ min}", r"8\text{ h}"), (r"8\,\mathrm{k\Omega}", r"8\,\Omega"), (r"5\,\mathrm{\mu m}", r"5\,\mathrm{mm}"), (r"30^\circ 15'", r"30^\circ 16'"), ("30", r"30^\circ 15'"), ("8", r"8\,\Omega^2 x"), (r"10\text{ min}", r"10\text{ s}"), (r"60^\circ 42'", r"42^\circ 60'"),
            (r"8\,\mathrm{kJ}", r"8\,\mathrm{J}"), (r"8\text{ N}", r"8\text{ J}"),
        ],
    ),
    "number words": (
        [
            ("-7", r"\text{negative }7"), ("-7", r"\text{minus seven}"), ("3", r"\text{three}"), ("12", "twelve"), ("21", r"\text{twenty-one}"), ("100", r"\text{one hundred}"), ("5", r"5^{\text{th}}"), ("3", r"3^{\text{rd}}"), ("1", "1st"), (r"\frac{2}{3}", r"\text{two thirds}"), (r"\frac12", r"\text{one half}"), (r"\frac14", r"\text{a quarter}"), ("0.3", r"3\text{ tenths}"),
            ("5000", r"5\text{ thousand}"), ("5000", r"\text{five thousand}"), (r"\text{three}", "3"), ("2500000", r"2.5\text{ million}"), ("125", r"\text{one hundred twenty-five}"), ("125", r"\text{one hundred and twenty-five}"), ("9", r"9\text{ (nine)}"), ("0", r"\text{zero}"), ("22", r"22^{nd}"), (r"\frac{3}{8}", r"\text{three-eighths}"), ("6", r"\text{six ways}"), ("36", r"\text{three dozen}"),
        ],
        [("7", r"\text{minus seven}"), ("3", r"\text{two}"), ("20", r"\text{twenty-one}"), ("3", r"\text{one third}"), ("2", r"\text{two thirds}"), ("5", r"\text{fifty}"), ("9", r"9\text{ (ten)}"), ("1", r"\text{one or two}"), ("3", r"\text{three million}"), ("34", r"\text{three four}"), ("7", r"\text{not seven}"), ("3", "3st 4")],
    ),
    "number bases": (
        [("101_2", r"101_{\text{two}}"), ("101_2", r"101_{(2)}"), ("101_2", r"101_{\text{base } 2}"), ("101_2", r"(101)_{2}"), ("A3_{16}", r"\text{A3}_{16}"), ("101_2", r"101\text{ base }2"), (r"327_{\text{nine}}", "327_9"), ("101_2", r"101_{\mathrm{two}}"), ("101_2", r"101\text{ (base 2)}"), ("101_2", r"101_\text{base two}"), ("101_2", "101")],
        [("101_2", r"101_{\text{three}}"), ("101_2", r"101_{(3)}"), ("101_2", r"101_{\text{base }8}"), ("101_2", "5"), ("101_2", r"110_{\text{two}}"), ("5", "101_2"), ("101", "101_2")],
    ),
    "names before a shape": (
        [
            ("(3,4)", "Q(3,4)"), ("(3,4)", r"\text{the point }(3,4)"), ("(3,4)", r"\{(3,4)\}"), (r"A=\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"), ("3", r"\frac{a}{b}=3"), (r"\frac{a}{b}=3", "3"), ("3", "f(4)=3"), (r"x=7", r"\text{Only } x=7"), ("y=3x", r"\text{The line is } y=3x"),
            ("y=3x", r"L: y=3x"), ("f(x)=2x", r"\text{The only solution is }f(x)=2x"), ("f(x)=2x", r"\text{the function } f(x)=2x"), (r"[0,1]", r"\text{the interval }[0,1]"), (r"\{1,2\}", r"\text{the set }\{1,2\}"), ("2,3", r"\text{the roots are }2\text{ and }3"), ("0", "f(3)=0"), ("(1,2,3)", r"\text{the vector }(1,2,3)"), ("(x,y)=(1,2)", r"\{(1,2)\}"), (r"\cos\theta=\frac13", r"\frac13"),
            ("(1,2),(3,4)", r"\text{the points }(1,2)\text{ and }(3,4)"), ("3", r"\frac{AB}{BC}=3"), ("(3,4)", "P=(3,4)"), (r"M(1,2)", "(1,2)"), ("x^2+y^2=4", r"C: x^2+y^2=4"), ("0", r"\sin\pi=0"),
        ],
        [("(3,4)", "2(3,4)"), ("(3,4)", "Q(4,3)"), ("0", "x-5=0"), ("(3,4)", r"\{(3,4),(4,3)\}"), ("3", r"\frac{3}{4}=3"), ("x=7", r"\text{Only } x=8"), ("0", "2x+y=0"), ("(3,4)", r"\text{not the point }(3,4)"), ("P(1)=0", "1"), ("y=3x", "L: y=2x"), ("f(x)=x+1", r"\text{There is no such function}")],
    ),
    "remarks": (
        [
            (r"(5,\infty)", r"x\text{ is greater than }5"), (r"(-\infty,5]", r"x\text{ is less than or equal to }5"), ("f(x)=x", r"f(x)=x\text{ for all }x\in\mathbb{R}"), ("f(n)=n", r"f(n)=n\quad\forall n\in\mathbb{N}"), (r"n\ge 3", r"\text{all integers }n\ge 3"), (r"n\ge 3", r"\text{for all }n\ge3"), ("2x", r"2x\text{, where }x\text{ is real}"), ("x+1", r"x+1\ (x\in\mathbb{R})"),
            ("f(x)=c", r"f(x)=c\text{ for some constant }c"), (r"y=x^2", r"y=x^2,\ x\in\mathbb{R}"), ("x=3", r"x=3\text{ (only)}"), ("5", r"\boxed{5}\text{ is the answer}"), (r"p>2", r"\text{all primes }p>2"), (r"k\pi", r"k\pi,\ k\text{ integer}"), (r"2^n-1", r"2^n-1 \text{ for } n\ge 1"),
        ],
        [(r"(5,\infty)", r"x\text{ is less than }5"), (r"[5,\infty)", r"x\text{ is greater than }5"), ("5", r"5\text{ for }x=1, 6\text{ for }x=2"), ("f(x)=x", r"f(x)=x\text{ or }f(x)=0\text{ for all }x"), (r"n\ge 3", r"\text{all integers }n\ge 4"), ("5", r"5\text{ if }n\text{ is even}"), ("5", r"x\text{ is greater than }5"), ("f(x)=x", r"f(x)=x\text{ for all }x\ne 1\text{, else }0")],
    ),
    "regions": (
        [
            (r"1\le|x|\le2", r"[-2,-1]\cup[1,2]"), (r"(-\infty,1)\cup(2,\infty)", r"x\notin[1,2]"), (r"(-\infty,3)\cup(3,\infty)", r"\mathbb{R}-\{3\}"), (r"(-\infty,3)\cup(3,5)", r"\{x\mid x<5\}\setminus\{3\}"), ("|x|>2", r"(-\infty,-2)\cup(2,\infty)"), (r"|x-1|<2", "(-1,3)"), (r"(0,1)\cup(1,2)", r"0<x<2, x\ne 1"), (r"x\ne 0", r"\mathbb{R}\setminus\{0\}"),
            (r"(-\infty,0)\cup(0,\infty)", r"x\in\mathbb{R}, x\neq0"), (r"[0,\infty)", r"\{x\in\mathbb{R}: x\ge0\}"), (r"(1,2)\cup(2,3)", r"(1,3)\setminus\{2\}"), (r"[-1,1]", r"|x|\le1"), (r"(-\infty,-1]\cup[1,\infty)", r"|x|\ge 1"), (r"[2,3]", r"[2,3)\cup\{3\}"), ("(1,3)", r"(1,2]\cup(2,3)"),
        ],
        [(r"(-\infty,1)\cup(2,\infty)", r"x\notin(1,2)"), (r"(0,1)\cup(1,2)", "0<x<2"), (r"1\le|x|\le2", "[1,2]"), (r"(-\infty,3)\cup(3,\infty)", r"\mathbb{R}"), (r"|x-1|<2", "(-2,2)"), (r"(-\infty,1)\cup(2,\infty)", "x\\in[1,2]"), (r"[2,3]", r"[2,3)"), (r"(1,3)", r"(1,2)\cup(2,3)")],
    ),
    "texts": (
        [
            (r"\text{odd}", r"\text{odd function}"), (r"\text{odd}", r"\text{The function is odd}"), ("15:30", r"\text{3:30 PM}"), ("3:30 PM", "15:30"), (r"1,3,5,\dots,2n-1", r"1,3,5,\ldots,2n-1"), (r"\text{west}", r"\text{due west}"), (r"\text{parabola}", r"\text{a parabola}"), (r"\text{hyperbola}", r"\text{It is a hyperbola}"), (r"\text{Alice}", "alice."),
            (r"\text{Yes}", r"\textbf{Yes}"), (r"\text{Monday}", "monday"), (r"\text{circle}", r"\text{The graph is a circle}"), (r"\text{no solution}", r"\text{There is no solution}"), (r"\text{isosceles}", r"\text{isosceles triangle}"), (r"\text{Carol}", r"\text{the answer is Carol}"), (r"\text{east}", r"\text{East}"),
        ],
        [(r"\text{odd}", r"\text{neither odd nor even}"), (r"\text{odd}", r"\text{not an odd function}"), ("15:30", r"\text{3:30 AM}"), (r"\text{west}", r"\text{northwest}"), (r"\text{Alice}", r"\text{Bob}"), (r"\text{Alice}", r"\text{Alice and Bob}"), (r"\text{Yes}", r"\text{No}"), (r"\text{even}", r"\text{even and odd}"), (r"1,3,\dots,n", r"1,3,\dots,m"), (r"\text{circle}", r"\text{circle, ellipse}"), (r"\text{right}", r"\text{right or left}"), ("15:30", "3:30"), (r"\text{circle}", r"\text{a circle or a point}")],
    ),
}  # fmt: skip

RESPONSES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "boxes joined by words": (
        [
            ("12.8", r"\boxed{12.7} was wrong. I made a mistake with the exponent and had to start over again; it is \boxed{12.8}"), ("2,3", r"\boxed{2} and \boxed{3}"), ("5", r"\boxed{5}, that is, \boxed{5}"), ("7", r"first \boxed{5}. Then we go on and find with the second condition \boxed{7}"),
        ],
        [
            ("12.8", r"\boxed{12.7} when x>0 and \boxed{12.8} when x<0"), ("12.8", r"\boxed{12.7} - \boxed{12.8}"), ("12.8", r"\boxed{12.7} vs \boxed{12.8}"), ("12.8", r"\boxed{12.7}~~\boxed{12.8}"), ("12.8", r"\boxed{12.7} resp. \boxed{12.8}"), ("12.8", r"\boxed{12.7} as well as \boxed{12.8}"), ("12.8", r"\boxed{12.7} (or \boxed{12.8})"), ("12.8", r"\boxed{12.7} and/or \boxed{12.8}"),
            ("12.8", r"\boxed{12.7} otherwise \boxed{12.8}"), ("12.8", r"$\boxed{12.7}$ for even n, $\boxed{12.8}$ for odd n"), ("12.8", "- \\boxed{12.7}\n- \\boxed{12.8}"), ("12.8", r"\boxed{12.7} & \boxed{12.8}"), ("12.8", r"\boxed{12.7} * \boxed{12.8}"), ("12.8", r"\boxed{12.7} if not \boxed{12.8}"),
        ],
    ),
    "extraction": (
        [
            ("7", r"so \boxed 7"), ("7", r"so $\boxed 7$."), ("7", r"\boxed{7<|endoftext|>}"), ("7", r"\boxed{7}<|im_end|>"), ("3,4", r"$x=\boxed{3}$, $y=\boxed{4}$"), ("x=1,y=2", r"$x=\boxed{1}$ and $y=\boxed{2}$"), ("7", r"\boxed{\text{ }7}"), ("7", "\\boxed{\n7\n}"), ("7", r"\boxed{7</s>}"), ("x+1,x-1", r"$f(x) = \boxed{x+1}$ or $f(x) = \boxed{x-1}$"), ("7", r"\boxed{7}\boxed{7}"), ("5", r"\boxed{ $5$ }"),
            ("3, 4", r"So $p = \boxed{3}$ and $q = \boxed{4}$, as claimed."),
        ],
        [("7", r"\boxed 8"), ("7", r"\boxed{7} and \boxed 8"), ("7", r"\boxed 7 or \boxed 8"), ("4", r"$x=\boxed{3}$ and $y=\boxed{4}$"), ("3", r"$x=\boxed{3}$, $y=\boxed{4}$"), ("7", r"\boxed{7<|im_end|>8}"), ("7", r"\boxed"), ("7", r"\boxed")],
    ),
}  # fmt: skip

# gold letter, {letter: option text}, answer
OPTIONS = {"A": "gravity", "B": "heat and light", "C": "a moving car", "D": "12 or more"}
CHOICES: tuple[list[tuple[str, str]], list[tuple[str, str]]] = (
    [
        ("B", "B. heat and light"), ("B", "(B) heat and light"), ("B", r"\text{(B) heat and light}"), ("B", "heat and light"), ("B", "B"), ("D", "D. 12 or more"), ("D", "12 or more"), ("C", "C) A moving car"), ("C", "a moving car"), ("A", "Gravity"), ("A", r"\text{A: Gravity}"), ("B", "Heat and light."),
        ("C", r"\textbf{(C)}\ \text{a moving car}"),
    ],
    [
        ("B", "A. heat and light"), ("B", "B. gravity"), ("A", "A. heat and light"), ("B", "B or D"), ("B", "gravity"), ("B", "heat"), ("B", "B. heat and light, or C"), ("D", "D and B"), ("C", "C. not a moving car"), ("B", "not heat and light"), ("A", "gravity, heat and light"),
    ],
)  # fmt: skip
