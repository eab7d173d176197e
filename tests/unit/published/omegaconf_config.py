"""A config of omegaconf's, as fairseq's checkpoints hold one."""

import base64
import dataclasses
import enum
import sys
import types
import zlib
from typing import Any

NAME = "fairseq.models.tiny"
PLAIN = {
    "task": {"_name": "audio_pretraining", "normalize": True},
    "big": 2**40,
    "ref": "${task._name}",
    "missing": "???",
    "list": [1, {"a": None}],
    "model": {
        "embed_dim": 48,
        "norm_eps": 1e-5,
        "spec": "[(32, 10, 5)]",
        "betas": [0.9, 0.98],
        "seed": None,
        "modality": 1,
        "data": "/data",
    },
}
"""What `make` holds, the enum by its value."""


class Modality(enum.Enum):
    AUDIO = 1


@dataclasses.dataclass
class TinyConfig:
    """Stands for one of fairseq's dataclasses."""

    embed_dim: int = 48
    norm_eps: float = 1e-5
    spec: str = "[(32, 10, 5)]"
    betas: list[float] = dataclasses.field(default_factory=lambda: [0.9, 0.98])
    seed: int | None = None
    modality: Modality = Modality.AUDIO
    data: Any = "/data"


def make(monkeypatch):
    """Make the config with the omegaconf that is installed."""
    from omegaconf import OmegaConf

    module = types.ModuleType(NAME)
    for cls in (Modality, TinyConfig):
        monkeypatch.setattr(cls, "__module__", NAME)
        setattr(module, cls.__name__, cls)
    for name in ("fairseq", "fairseq.models"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, NAME, module)
    config = OmegaConf.create({**PLAIN, "model": None})
    config.model = OmegaConf.structured(TinyConfig)
    OmegaConf.set_struct(config, True)
    return config


def recorded():
    """Pickles of `{"cfg": make()}` written by earlier omegaconf, by version."""
    for version, text in _RECORDED.items():
        yield version, zlib.decompress(base64.b85decode(text))


_RECORDED = {
    "2.0.6": (
        "c-n1NX>b%p7)`jD1Qa!(;DL&|C@uj+@ghVnV_?xC=qSN;cD8qWV0UNV%xpAZ3#j0"
        "N8Wb-)!27-r6mP^UDk$Fm*Pm8d{;<lQe%&(-yNRh(s%NVEz4yKEdp+4OM4-VM+R)"
        "J8<nm~Aydulnj#tVhv#t}$g_}1P&~kpX#E_{QF;rk!!WvD7(nS{9Sv#~byyj@e4w"
        "yj)Lfb7de`&nMzz8}!QeafV8bxP)mP?1dWropCI-RMwh0raf(}v_VU|3DG#mlT_P"
        "8jWKN~u#`Idr{}T|jeH$zH>HF(zdVr)92S=L3utIKmo1k3r~HoDfG=18c0J3%o)P"
        "^V5#)aE5V?;}r^oPH2IVWjVW22qW&JxUmUGn>a=h5<w)OC1o|!Gb^wnE5)M5rz#n"
        "1q%@*z`}7tQB9&?KA(YR@3LKZPhS96g4%T2Im;Ox>I6lFLbLqzk0w*T;Xouk3Qr>"
        "7U^%^*dH>G%Um5<>QIh8Y+kK;<y$tF(WEh#Qp`2;?c6Z)wMReQQ*7a6A1G@;~WSs"
        "?LJv@mcQah)!32JsH;)ZqptXwy`IGf5CXEMkfjah4V_&BWP?ev&FH-9x=dTH|PGS"
        "F)~`F8eI>sqs_|rjt8zOiG?#v<vQ9hE^_x%n+C<4Ul}Z1kS1FYn6PnHQ%`=&WreX"
        "vRcVh2vYVv<K{6(ft@dKfd;!!;G%l4ITGw*4K~+ATkKtOs~nPshQ=6>#u4)rV7tI"
        "28gRbAf_lJt5^$jgTx4Rg2DHWy%#?Mq(Mi=0flK4@D7rx)4e3w>mkD%gf+Ye=>j^"
        "p}K}r)WGjaJL0;#jDtqoTYtTeyi1|iIve##edXqV7Zhjuv;bqTD{LwBXXRWWH@_T"
        "+H`R;0s}I<D3_t}(Hax76?UXkgJ@GmfjUDxoU8Rv@h_yiUNbtFW^{B4;$RV<M{nx"
        "_Gjax}hRM-sQB~ya2BUXp{i123T!kO-(GiWGo6+qnt<-m7J1*r{$CdP;YoqqWKyv"
        "FcB&o#*+jXR5Fa*mKiHjkP4_MeLVu#YkfBe^vVe5Y}XGMl4@U&B$IlLF8ZUpu$DL"
        "RwGm}SQm)gKH<}OwbA3~E!Lnk8Wz$)=i1mZA-9cAOp7~L}H;|Bx0ypb2ZxOgvmf2"
        "0D-Mo1Vk*=4dn>6WW6Spb49<sfaN*omjHO<Nas)N`T6+AnPxV8}fR)O0!*Bt_PN&"
        "{+#BPX{T=p*{Rh`uW6w`uyjOx&&M7tj6U-`&;U`QPza2W949`yd6&L!UAfNw|k-?"
        "-jUDOSoU)fq@b#CD&1#caVr3k%;Y5#DiMILna>9B2;=;CT7i?HhD(tw8^uluEHa6"
        "<1=(Y2H44EjCKh;svG~9z~hS4D>L5?J>ST)&<$D9z!UmHU!o%QB=6gdr%XIeN~}o"
        "9PO0P>t>jq~&+!)O)Og+(E21<#pWxE#7X)6^g}x;4vg~VY?4dZlqLE%T@tQ)|MaH"
        ")MxnKSqpcfM8b%8fD(3=8p4FFQH+O2`!Hu273puf5k|Loh=9i>4viLos9a5;DH3c"
        "ROb-xv6xX71#$?~$+{YS@oVe5^fB#bZZ_q0d9ui@k%IzOYm&MlJt@(Dw;^nowW&o"
        "XZN?0G|nbu6oqIVnN3;e9_q$M7g13(I@)L|IOvnn9)FgEc`2huch#Q65b!RXs;Ch"
        "jTXM&!~rdw_jfjK!nY>Ai``KF107VC&G!O7Xg7Wo_^JM~IVdrI)|kJT`1Q~L$}*-"
        "apx@MYj(&sWf0wd6=K"
    ),
    "2.1.2": (
        "c-n1N>37sr9G$Y078Fns1w{oN6k8TiaiLZ=p)hEm8iX1%nK$zSnPl!HQ!MxdRJ6s"
        "VDsH%d`@So<qoURgaQ7e3kDlZ4gXj3s-+M_QL!C3ro0s?Qy}#wYWXm9dj4?Qq$=J"
        "mb8f?GJN|x<=#pZ%zhjQSQv;{Pr9}O{R+Exq}7?L$c(k8RaLaShf7KWy_=B<Efv>"
        "~({k5!k)OEe6ly~71YWQ`HDx5|oU*j-^5Y15D6m9#dmTZ3ja(nUYNj@e;!y)mcO`"
        "<2k~J<CN?j}p9|bz@Y{7)ryUYn1|w7C6QjMt_5_TC+nO+Y=aCa@DN*euy!>#%M(y"
        "_-+@gnzm(ghOxHoyDsq&exMat(W<$jj9<ez+cfhv#|<6NG_`2%xNSII#|cUliHJm"
        "w=bF((6U=30=EcfS<XSCn43~+jSXG+FgeVr1@)XMdCkdRKHHOesXa(yrk<0u}5;!"
        "HxhjN*(Qw1hx`ADwu#vE_z;iLFOPJy1r$Mo{Cd>kh+r|UR_6F*mUd;%ZL33f_WrN"
        ";EEGQ-qVbv(bo0-5U^4K$odBxea^iSXzW9;w_kT6DI+IrU1WN+r`%O3u~MtQ1UAA"
        "(>rNtrlYp4Xs+i@y$w=g;i<_DmG?NW@HO_ezk15&PIlrTxyvmFk1#MDbEv_Q%^Zl"
        "Ql6ipyg<i=5hZWwspV^gDw`wklrUG}T_kXEf_I6)rS*7oCEmOgUaOAF;v}|gm(7&"
        "PG{l(HuxL}5mkZ2KFc%0ctjBDVn2S=Fi*;O)U>c(cY04&9?PgUQfhBQ|l${`unOU"
        "kh+69&+9LoiA^&Cqj$BGokl{&6E%pujbwzfhiWLXH;2|}z)l~+#0=3Yj_#N4Zht3"
        "%-Gr1`E9Fk;?1AIR+*R!34+N-5W-q^!}gmXELB;FG=4neNa|T$fdWngZ7+fm#Cjx"
        "<K1A65URr7j!U%(ZO5VsWi$lMS)TxnhQAf7!49*T?%8p4!6!R9nvvnqd|5mJSEE)"
        "s3fu=P_56uCn19rWT>O2po+XDSIY;rJgHO;ER)S#bSa%11a3%lb_;Awl3TQ#YQWH"
        "})&|X#v~Fz`eI<q26tQ+m)*Dl-LdQ)5t-m=soLM=~3TDA6W6J>hFQMb7#H!H|u$9"
        "!@EO1K_?yUmbq_R%lNS~%&V%{Q|Z%Z-XuA@gWZlE$qFOP`5Y_dv#-T{P*T;B>Ky6"
        "r@9hrpc)-CY8A6J1@y6y<UaeWai-QqU_E+>=spua5f?1&inX@$a6V-}&Eh!v_^+W"
        "5)myE5j-oEK+elF+U*iV4~t7frpP)QS%&IE#65wc1AjONF9%)bUdo#u|$V*_nPeN"
        "S<@%aoH2d!oN1kSJZ^(L9i{<xap|$$0#77u@T9;~k~h8wE>qTen)p^ne7hvyGbz4"
        "jbv#EkmuBjVdC5%AXSvMl3j!}D5xpevvMghq#KUfSB?b1Xj@J~(Zc1Y7p9kdYAWc"
        "ZD*9G24u-+7S>nJScs<%^E@95Zb1naN0*?;!;t&M!3YQk6nd%0}3cLm-{klz>hAk"
        "}QL&G$;=4^zk=>G(KFaW3vPvI^Zc!fxyvQ09eRtsE8k6C(Ij;IpiHE+{(8Ed<yv@"
        "VP2UTgQSWEAT~oLlF6ewng{tFaOt&%VS0j{jv711iqHq`$>C$RIYte`!^}=-|F}-"
        "(a!tZ8@Azqj)QSd)T7fOb>4h0@I#W59|eA@KW`36*q>9dzv%e&aM#ITS`^lA>J~`"
        "vp!q+_PD~g"
    ),
    "2.3.0": (
        "c-n22>37sr7{;gUgcb!<L_twO2gQ~}R9vW)O(+Z+s0N|NOy<tqKqi@Ik|`Fv0xH_"
        "#QWZB`z<u8p+)+{M2DtkV=ts}-_`!4h=zDJx$WVKF+DwxBJiq(C?~}}yK>`_La3+"
        "(nizPJJewmdl+xLpi1;-BMfm6~J(Bb^(5QC;|#bALUSz{zEGRrKq3RY-gXliNR3Y"
        "bO<Ld)@3b$NV?hGDdJxWI_4F@n}sS<wu;D-0uT`sa8ht<CG!pc$j+qMu*K>@d1M$"
        "~Mh>&2dA=Gfho$X=qduekF8#&vMb!qxP_#bz^kS7)pml*D3`#M&MXu7<~-FYRwKY"
        "rYA78<f>Wq{Sae&jnRrG@ZBy}HEql04C8FucU?jt{Xi?QqE&Ol$oe?mxDChaI6)z"
        "hWkfliYeplTU@j{&FGfF+Yqh*FTvn=LRp~S)<kT{g3Kh!FCkdRKHHOfs&<fULB9{"
        "f8BydWW59P98rwUBY@{wHQqj)24>fxjLL{9rUjgRf+<G7+ZUB?-m0J!qw6Zl|Gx>"
        "K^M5~gRB8K$QC<M{;^$ZF^4K*O2ja+W}r9FK0|k={+Co6Z(ECq~IdBvU2H^c2atI"
        "+_*1B(*2Ai<;A7jG;rTR&ac?Qe|P4#)8_78B`iMM4n$QTduQ_VJ4R>vjk?#-Al{!"
        "1m@IR&Xkttrz|hfabaZ1TY75w8mY=z$U7y>ReBc*T%71#B5-NF-dw3SFQwP2<FdG"
        "jE!*YnWHJr0CXFoGl;-6E^ApVl0t@Rk+oa~Al;&a`S0tK76DdvEB-`DrdLytT9+I"
        "*X1hO(ql}Ee4vczM#K(5|nsq|Qp^0-pRRfjz!ZEI^QbW)a$aGfB;%2a#hi8$WN=r"
        "D=*D)Q<OxH_4>YXpqgw=RWpxrWsd%1ViHZ3<<Lj<tMz{Q{o?j?VOicH+9M+NddTe"
        "X>zYAYZr9_KZ}wQ|bjBOlfrRmUe25icC?Ult6O<r#>?64N_!XN@Tqbw=OarGBRbO"
        "L5?as#pMfB5-tc->l@%n$si>e>ZmEHB5%pn@<A<6m@0y0%9)EU1-e1th6J=*U}I9"
        "<qUBTrhGund&`ee9)>hG<q%)f$*DmRLW6D+NxM^VaH%HHBR?f46S#ZkOG9dp;=mA"
        "t>)#w?pm1u4jxFy-{tpeL5StpgSlQ;E}^A_oRTgv%%9X-l%1NA|Mc|;s$lT`xr4l"
        "rEg`c@d(Z6}L61nx}i?h?40?CK__C~w!$M+AKlL9ZmZCq;0tj{6dV#q<97cTdmn{"
        "O@?;g9@{;V*td;uu2JwDDEfc2Lv8WC>|1c_-Kln=h*7zoy4&-;@BZM9!YULs^hVQ"
        "L&bYdcJ{34lV{GDK6%cxPCOouL7twb0d{d2vfTntBxCTTz*EvUehn^D*?OA%R!4r"
        "jq~9|szh`wkM?IHm>Wh6TP0we!tm_K`FD5&BN#JGK#v?_H;`B;N>{T7FDUsb&#MV"
        "C#$e)9BLTbG(@J6EbrodZAX{l7bozi+o$DSivf33~_v%ha`lmpch#tPWW<*>ag@L"
        "r<)zQ6~mVUuINS1Ny)QvOKC$4QBE@vKo)=)DnkW8Z)_FZ62VsL7v@!KVVBW!3k9q"
        "Ql%mfc*lWtCqBNELgGvU$i#_QC?_S^ydEZe*?KZcGS=xvwtP<wPf!n_Wr0{`y~4}"
        "DfVx5e3!8E{`Q7#IH2QTTod)}>5zKfd@t}rQj;GAeyV@o9Fnp>r(}Q8@$2EKlbdN"
        "#TED4xApHi-{{cMlOk@"
    ),
}
